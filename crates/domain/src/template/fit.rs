//! Whether a message's values fit a template: component by component, down to the cards of a
//! carousel. What the upstream would refuse with 132000 or 132012 is refused here.

use serde_json::Value;

use super::variables::{count_variables, is_of_type, variables, variables_of_body};
use crate::content::{Component, Parameter};
use crate::failure::{ErrorKind, Failure};
use crate::media::MediaKind;

/// A template's components and how people call it: the template itself, or one of its cards.
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) components: &'a [Value],
    pub(super) is_named: bool,
}

impl Part<'_> {
    pub(super) fn check<M>(&self, given: &[Component<M>]) -> Result<(), Failure> {
        self.check_repetitions(given)?;
        for part in ["header", "body"] {
            let wanted = self.wanted(part);
            let given = given.iter().find(|component| component.kind == part);
            let parameters = given.map_or(&[][..], |component| &component.parameters[..]);
            self.check_values(part, &wanted, parameters)?;
        }
        self.check_buttons(given)?;
        self.check_cards(given)
    }

    /// Only buttons come more than once; they are told apart by their index.
    fn check_repetitions<M>(&self, given: &[Component<M>]) -> Result<(), Failure> {
        for part in ["header", "body", "carousel"] {
            if given.iter().filter(|component| component.kind == part).count() > 1 {
                return Err(self.mismatch(&format!("{part} is given twice")));
            }
        }
        Ok(())
    }

    fn component(&self, part: &str) -> Option<&Value> {
        self.components.iter().find(|component| is_of_type(component, part))
    }

    fn buttons(&self) -> Vec<Button> {
        let buttons = self.component("BUTTONS").and_then(|part| part["buttons"].as_array());
        buttons.into_iter().flatten().map(Button::of).collect()
    }

    fn wanted(&self, part: &str) -> Wanted<'_> {
        let Some(component) = self.component(part) else { return Wanted::Variables(Vec::new()) };
        let format = component["format"].as_str().unwrap_or("TEXT");
        if format.eq_ignore_ascii_case("LOCATION") {
            return Wanted::Location;
        }
        // Animations are sent as videos.
        let format = if format.eq_ignore_ascii_case("GIF") { "VIDEO" } else { format };
        if let Some(kind) = MediaKind::parse(format) {
            return Wanted::Media(kind);
        }
        if part == "body" {
            return Wanted::Variables(variables_of_body(self.components));
        }
        Wanted::Variables(variables(component["text"].as_str().unwrap_or_default()))
    }

    fn check_values<M>(
        &self,
        part: &str,
        wanted: &Wanted<'_>,
        given: &[Parameter<M>],
    ) -> Result<(), Failure> {
        let fits = match (wanted, given) {
            (Wanted::Media(kind), [Parameter::Media { kind: given, .. }]) => given == kind,
            (Wanted::Location, [Parameter::Other(value)]) => value["type"] == "location",
            (Wanted::Variables(names), given) => {
                // Currencies and the like stand for one variable each.
                let no_file = given.iter().all(|it| !matches!(it, Parameter::Media { .. }));
                no_file && names.len() == given.len() && (!self.is_named || have(names, given))
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let (wanted, got) = (wanted.in_words(self.is_named), given.len());
        Err(self.mismatch(&format!("{part} takes {wanted}; the request gives {got}")))
    }

    fn check_buttons<M>(&self, given: &[Component<M>]) -> Result<(), Failure> {
        let buttons = self.buttons();
        let mut filled = vec![false; buttons.len()];
        for component in given.iter().filter(|component| component.kind == "button") {
            let index = component.index.and_then(|index| usize::try_from(index).ok());
            let Some(index) = index.filter(|index| *index < buttons.len()) else {
                let count = buttons.len();
                return Err(self.mismatch(&format!(
                    "buttons are numbered from 0 and are {count}; the request names another"
                )));
            };
            if std::mem::replace(&mut filled[index], true) {
                return Err(self.mismatch(&format!("button {index} is given twice")));
            }
            if !buttons[index].takes(component) {
                let wanted = buttons[index].in_words();
                return Err(self.mismatch(&format!("button {index} takes {wanted}")));
            }
        }
        for (index, button) in buttons.iter().enumerate() {
            if button.needs_value() && !filled[index] {
                let wanted = button.in_words();
                let words = format!("button {index} takes {wanted}; the request gives 0");
                return Err(self.mismatch(&words));
            }
        }
        Ok(())
    }

    fn check_cards<M>(&self, given: &[Component<M>]) -> Result<(), Failure> {
        let cards = self.component("CAROUSEL").and_then(|part| part["cards"].as_array());
        let cards = cards.map_or(&[][..], Vec::as_slice);
        let given = given.iter().find(|component| component.kind == "carousel");
        let given = given.map_or(&[][..], |component| &component.cards[..]);
        // Every card shows a file, so that none can be left out.
        if cards.len() != given.len() {
            let (count, got) = (cards.len(), given.len());
            return Err(
                self.mismatch(&format!("carousel has {count} cards; the request gives {got}"))
            );
        }
        for (index, card) in cards.iter().enumerate() {
            let of_card = given.iter().find(|given| usize::try_from(given.index) == Ok(index));
            let Some(of_card) = of_card else {
                return Err(self.mismatch(&format!("card {index} is not given")));
            };
            let name = format!("{}, card {index}", self.name);
            let components = card["components"].as_array().map_or(&[][..], Vec::as_slice);
            let part = Part { name: &name, components, is_named: self.is_named };
            part.check(&of_card.components)?;
        }
        Ok(())
    }

    fn mismatch(&self, what: &str) -> Failure {
        let message = format!("Template {}: the {what}.", self.name);
        Failure::new(ErrorKind::TemplateParameterMismatch, message)
    }
}

/// Whether the values have exactly these names, in any order.
fn have<M>(names: &[&str], given: &[Parameter<M>]) -> bool {
    names.iter().all(|wanted| {
        let mut given = given.iter().map(name_of);
        given.any(|name| name == Some(wanted))
    })
}

fn name_of<M>(parameter: &Parameter<M>) -> Option<&str> {
    match parameter {
        Parameter::Text { name, .. } => name.as_deref(),
        Parameter::Other(value) => value["parameter_name"].as_str(),
        Parameter::Media { .. } => None,
    }
}

/// What a header or a body takes.
enum Wanted<'a> {
    /// One value for each of these variables.
    Variables(Vec<&'a str>),
    /// A file of this kind.
    Media(MediaKind),
    /// A place.
    Location,
}

impl Wanted<'_> {
    fn in_words(&self, is_named: bool) -> String {
        match self {
            Self::Media(kind) => format!("one parameter of type {}", kind.as_str()),
            Self::Location => "one parameter of type location".to_owned(),
            Self::Variables(names) if is_named && !names.is_empty() => {
                format!("text parameters named {}", names.join(", "))
            }
            Self::Variables(names) if names.len() == 1 => "1 text parameter".to_owned(),
            Self::Variables(names) => format!("{} text parameters", names.len()),
        }
    }
}

/// What a button takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Button {
    /// A payload that comes back, or nothing: then its label does.
    QuickReply,
    /// A web page; the end of its address is a value.
    DynamicUrl,
    /// A coupon's code.
    CopyCode,
    /// The password, as the end of an address.
    OneTimePassword,
    /// The products of a list.
    Products,
    /// A web page, a call: nothing.
    Fixed,
    /// Forms, catalogues and what is new: one value at most.
    Other,
}

impl Button {
    fn of(button: &Value) -> Self {
        let kind = button["type"].as_str().unwrap_or_default().to_ascii_uppercase();
        let has_variable = || count_variables(button["url"].as_str().unwrap_or_default()) > 0;
        match kind.as_str() {
            "QUICK_REPLY" => Self::QuickReply,
            "URL" if has_variable() => Self::DynamicUrl,
            "URL" | "PHONE_NUMBER" => Self::Fixed,
            "COPY_CODE" => Self::CopyCode,
            "OTP" => Self::OneTimePassword,
            "MPM" => Self::Products,
            _ => Self::Other,
        }
    }

    const fn needs_value(self) -> bool {
        matches!(self, Self::DynamicUrl | Self::CopyCode | Self::OneTimePassword | Self::Products)
    }

    fn takes<M>(self, given: &Component<M>) -> bool {
        let sub_type = given.sub_type.as_deref().unwrap_or_default();
        let typed = |wanted: &str| match &given.parameters[..] {
            [Parameter::Other(value)] => value["type"] == wanted,
            [Parameter::Text { .. }] => wanted == "text",
            _ => false,
        };
        match self {
            Self::QuickReply => sub_type == "quick_reply" && typed("payload"),
            Self::DynamicUrl => sub_type == "url" && typed("text"),
            Self::CopyCode => sub_type == "copy_code" && typed("coupon_code"),
            // Some clients say what it is, others what Meta makes of it.
            Self::OneTimePassword => {
                matches!(sub_type, "url" | "copy_code") && given.parameters.len() == 1
            }
            Self::Products => sub_type == "mpm" && typed("action"),
            Self::Fixed => given.parameters.is_empty(),
            Self::Other => given.parameters.len() <= 1,
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::QuickReply => "a payload (sub_type quick_reply)",
            Self::DynamicUrl => "a text, the end of its address (sub_type url)",
            Self::CopyCode => "a coupon_code (sub_type copy_code)",
            Self::OneTimePassword => "the code as a text (sub_type url)",
            Self::Products => "an action with its products (sub_type mpm)",
            Self::Fixed => "no parameters",
            Self::Other => "one parameter at most",
        }
    }
}

#[cfg(test)]
mod tests;
