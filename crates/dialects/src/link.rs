//! Links as requests carry them: to files and to receivers. Whether one may be called is judged when
//! it is called.

use url::Url;

/// The longest link, in code points; what the guarded client takes.
pub(crate) const MAX_LINK_CHARS: usize = 8_192;
/// What is asked of whoever gave another link than [`is_web_link`] takes.
pub(crate) const WEB_LINK: &str =
    "must be a URL that begins with http:// or https:// and names a host";

/// Whether it is an http or https URL with a host, fit to be passed on as it is written.
pub(crate) fn is_web_link(text: &str) -> bool {
    is_plain_link(text) || is_odd_link(text)
}

/// Whether it is an http or https URL on the face of it, as most links are: a host in small letters
/// that is neither an address nor encoded, without a port. Reading those in full would take a tenth
/// of the time that a request takes.
fn is_plain_link(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| rest.bytes().all(|byte| byte.is_ascii_graphic())) else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Nothing but letters and digits begins a part of a name here, or stands behind a hyphen.
    let mut before = b'.';
    let is_name = host.bytes().all(|byte| {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = is_letter(byte) || matches!(byte, b'-' | b'.') && is_letter(before);
        before = byte;
        fits
    });
    // What ends in a number is an address.
    let last = host.rsplit('.').next().unwrap_or_default();
    is_name && last.starts_with(|first: char| first.is_ascii_lowercase())
}

/// The same for what takes a parser to tell.
fn is_odd_link(text: &str) -> bool {
    // The URL standard forgives a missing host (`http:///x`) and line breaks; others may not.
    let has_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with(['/', '\\']));
    has_host
        && !text.contains(|char: char| char.is_control() || char == ' ')
        && Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_a_link_on_the_face_of_it_is_one(
            host in "[a-z0-9.xn-]{1,12}(\\.[a-z0-9-]{1,8})?[.0-9]{0,2}",
            rest in "([/?#:@\\\\][ -~\u{7F}é\n]{0,8})?",
        ) {
            let link = format!("https://{host}{rest}");
            prop_assert!(!is_plain_link(&link) || is_odd_link(&link), "{link}");
        }
    }

    #[test]
    fn most_links_need_no_parser() {
        for plain in ["https://app.example.com/dlr", "http://receiver", "https://a-b.c0/x?y=%20#z"]
        {
            assert!(is_plain_link(plain), "{plain}");
        }
        for odd in ["https://xn--a.example.com", "http://10.1.2.3/", "http://a.0x7f", "http://a:80"]
        {
            assert!(!is_plain_link(odd), "{odd}");
        }
    }

    #[test]
    fn a_web_link_can_be_passed_on_as_it_is_written() {
        for good in
            ["https://files.example.com/a.jpg", "HTTP://files.example.com", "http://[::1]:80/"]
        {
            assert!(is_web_link(good), "{good}");
        }
        for bad in [
            "",
            "files.example.com/a.jpg",
            "ftp://files.example.com/a.jpg",
            "http:///a.jpg",
            "https:\\\\files.example.com",
            "https://files.example.com/a b",
            "https://files.example.com/a\nb",
            "https://",
        ] {
            assert!(!is_web_link(bad), "{bad}");
        }
    }
}
