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
    // The URL standard forgives a missing host (`http:///x`) and line breaks; others may not.
    let has_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with(['/', '\\']));
    has_host
        && !text.contains(|char: char| char.is_control() || char == ' ')
        && Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

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
