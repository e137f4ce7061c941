//! Contact cards: the Cloud API's objects without their empty strings and empty lists.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{
    Contact, ContactAddress, ContactEmail, ContactName, ContactOrg, ContactPhone, ContactUrl,
    MAX_CONTACTS,
};
use waypost_domain::{Content, Failure};

use super::member::{Doom, Member, members};
use crate::json::Node;
use crate::webex_connect::wire::member as name;

/// The most numbers, addresses and so on of one card.
const MAX_CARD_ENTRIES: usize = 20;

/// `contacts`
pub(super) fn read(contacts: &Member<'_>, doom: &mut Doom) -> Result<Content<MediaDraft>, Failure> {
    let mut cards = Vec::new();
    for element in contacts.array()? {
        let card = card(Member::new(name::CONTACTS, Some(element)).object()?, doom)?;
        if cards.len() == MAX_CONTACTS {
            doom.out_of_bounds(format!("More than {MAX_CONTACTS} contacts are given."));
            break;
        }
        cards.push(card);
    }
    if cards.is_empty() { Err(contacts.missing()) } else { Ok(Content::Contacts(cards)) }
}

fn card(card: Node<'_>, doom: &mut Doom) -> Result<Contact, Failure> {
    let [full_name, phones, emails, addresses, org, urls, birthday] =
        members(card, ["name", "phones", "emails", "addresses", "org", "urls", "birthday"]);
    Ok(Contact {
        name: full_name_of(full_name.object()?)?,
        phones: entries(&phones, doom, |node| {
            let [phone, kind, wa_id] = texts(node, ["phone", "type", "wa_id"])?;
            Ok(ContactPhone { phone, kind, wa_id })
        })?,
        emails: entries(&emails, doom, |node| {
            let [email, kind] = texts(node, ["email", "type"])?;
            Ok(ContactEmail { email, kind })
        })?,
        addresses: entries(&addresses, doom, |node| {
            let [street, city, state, zip, country, country_code, kind] =
                texts(node, ["street", "city", "state", "zip", "country", "country_code", "type"])?;
            Ok(ContactAddress { street, city, state, zip, country, country_code, kind })
        })?,
        org: match org.optional_object()? {
            Some(org) => {
                let [company, department, title] = texts(org, ["company", "department", "title"])?;
                let org = ContactOrg { company, department, title };
                (org != ContactOrg::default()).then_some(org)
            }
            None => None,
        },
        urls: entries(&urls, doom, |node| {
            let [url, kind] = texts(node, ["url", "type"])?;
            Ok(ContactUrl { url, kind })
        })?,
        birthday: text(&birthday)?,
    })
}

/// WhatsApp wants a part beside the whole: where there is none, the whole is taken for it.
fn full_name_of(node: Node<'_>) -> Result<ContactName, Failure> {
    let [formatted] = members(node, [name::FORMATTED_NAME]);
    let formatted_name = formatted.text()?.into_owned();
    let [first_name, last_name, middle_name, suffix, prefix] =
        texts(node, ["first_name", "last_name", "middle_name", "suffix", "prefix"])?;
    let has_part =
        [&first_name, &last_name, &middle_name, &suffix, &prefix].into_iter().any(Option::is_some);
    let first_name = if has_part { first_name } else { Some(formatted_name.clone()) };
    Ok(ContactName { formatted_name, first_name, last_name, middle_name, suffix, prefix })
}

/// A list's objects, without those that say nothing.
fn entries<T: Default + PartialEq>(
    list: &Member<'_>,
    doom: &mut Doom,
    read: impl Fn(Node<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut entries = Vec::new();
    for element in list.optional_array()?.into_iter().flatten() {
        let Some(object) = Member::new(list.name(), Some(element)).optional_object()? else {
            continue;
        };
        let entry = read(object)?;
        if entry == T::default() {
            continue;
        }
        if entries.len() == MAX_CARD_ENTRIES {
            let name = list.name();
            doom.out_of_bounds(format!(
                "`{name}` of a contact has over {MAX_CARD_ENTRIES} entries."
            ));
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn texts<const N: usize>(
    node: Node<'_>,
    names: [&'static str; N],
) -> Result<[Option<String>; N], Failure> {
    let mut found = [const { None }; N];
    for (place, member) in found.iter_mut().zip(members(node, names)) {
        *place = text(&member)?;
    }
    Ok(found)
}

fn text(member: &Member<'_>) -> Result<Option<String>, Failure> {
    Ok(member.optional_label()?.map(|text| text.into_owned()))
}
