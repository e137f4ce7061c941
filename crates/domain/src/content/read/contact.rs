//! Contact cards in Meta's form.

use super::super::{
    Contact, ContactAddress, ContactEmail, ContactName, ContactOrg, ContactPhone, ContactUrl,
};
use super::field::Field;
use crate::failure::Failure;

/// The most entries of one kind in a card.
const MAX_ENTRIES: usize = 100;

pub(super) fn card(field: &Field<'_>) -> Result<Contact, Failure> {
    field.object()?;
    let org = field.member("org").given();
    Ok(Contact {
        name: name(&field.member("name"))?,
        phones: entries(&field.member("phones"), phone)?,
        emails: entries(&field.member("emails"), email)?,
        addresses: entries(&field.member("addresses"), address)?,
        org: org.map(|org| organisation(&org)).transpose()?,
        urls: entries(&field.member("urls"), url)?,
        birthday: field.member("birthday").optional_string()?,
    })
}

fn entries<T>(
    field: &Field<'_>,
    read: impl Fn(&Field<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let read_entry = |entry: &Field<'_>| {
        entry.object()?;
        read(entry)
    };
    field.optional_array(MAX_ENTRIES)?.iter().map(read_entry).collect()
}

fn name(field: &Field<'_>) -> Result<ContactName, Failure> {
    field.object()?;
    let part = |name: &str| field.member(name).optional_string();
    Ok(ContactName {
        formatted_name: field.member("formatted_name").text()?,
        first_name: part("first_name")?,
        last_name: part("last_name")?,
        middle_name: part("middle_name")?,
        suffix: part("suffix")?,
        prefix: part("prefix")?,
    })
}

fn phone(field: &Field<'_>) -> Result<ContactPhone, Failure> {
    let part = |name: &str| field.member(name).optional_string();
    Ok(ContactPhone { phone: part("phone")?, kind: part("type")?, wa_id: part("wa_id")? })
}

fn email(field: &Field<'_>) -> Result<ContactEmail, Failure> {
    let part = |name: &str| field.member(name).optional_string();
    Ok(ContactEmail { email: part("email")?, kind: part("type")? })
}

fn address(field: &Field<'_>) -> Result<ContactAddress, Failure> {
    let part = |name: &str| field.member(name).optional_string();
    Ok(ContactAddress {
        street: part("street")?,
        city: part("city")?,
        state: part("state")?,
        zip: part("zip")?,
        country: part("country")?,
        country_code: part("country_code")?,
        kind: part("type")?,
    })
}

fn organisation(field: &Field<'_>) -> Result<ContactOrg, Failure> {
    field.object()?;
    let part = |name: &str| field.member(name).optional_string();
    Ok(ContactOrg {
        company: part("company")?,
        department: part("department")?,
        title: part("title")?,
    })
}

fn url(field: &Field<'_>) -> Result<ContactUrl, Failure> {
    let part = |name: &str| field.member(name).optional_string();
    Ok(ContactUrl { url: part("url")?, kind: part("type")? })
}
