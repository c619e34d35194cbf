//! How the server is reached: its address, TLS, and what is said when that fails.

use std::{error::Error as StdError, fmt::Write as _};

use reqwest::{ClientBuilder, Url};

use super::config::Config;
use crate::{Error, Result};

/// What Go's servers answer, with 400, to whoever speaks HTTP where TLS is spoken.
const SPEAKS_TLS: &str = "HTTP request to an HTTPS server";

/// HTTP/1.1 without a proxy, and never without a time limit. Checks the settings before.
pub(super) fn http(config: &Config) -> Result<ClientBuilder> {
    config.check()?;
    let builder = reqwest::Client::builder()
        .connect_timeout(config.connect_timeout)
        .timeout(config.query_timeout.max(config.write_timeout))
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none());
    #[cfg(feature = "tls")]
    let builder = match &config.ca_file {
        Some(path) => trusting(builder, path)?,
        None => builder,
    };
    Ok(builder)
}

/// Trusts the certificates of a file, besides those that the system trusts.
#[cfg(feature = "tls")]
fn trusting(builder: ClientBuilder, path: &std::path::Path) -> Result<ClientBuilder> {
    const END: &str = "-----END CERTIFICATE-----";
    let wrong = |why: String| {
        let path = path.display();
        Error::Configuration(format!(
            "influx.ca_file {path} cannot be used: {why}: give a file of certificates in PEM"
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut found = text.split_inclusive(END).filter(|block| block.ends_with(END)).peekable();
    if found.peek().is_none() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    found.try_fold(builder, |builder, block| {
        let certificate = reqwest::Certificate::from_pem(block.as_bytes());
        Ok(builder.add_root_certificate(certificate.map_err(|error| wrong(told(&error)))?))
    })
}

/// An address of the server's API.
pub(super) fn url(base: &str, path: &str) -> Result<Url> {
    let wrong = |why: String| {
        Error::Configuration(format!(
            "{base:?} is no address of InfluxDB, such as http://influxdb:8086: {why}"
        ))
    };
    let mut url = Url::parse(base).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(wrong("it must begin with http:// or https://".to_owned()));
    }
    if url.scheme() == "https" && !cfg!(feature = "tls") {
        return Err(Error::Configuration(format!(
            "{base:?} cannot be spoken to: this build of flagmeter has no TLS: build it with `--features tls`"
        )));
    }
    let path = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// What an error says, with all that libraries hide in its sources.
pub(super) fn told(error: &dyn StdError) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        // Writing to a string does not fail.
        let _ = write!(told, ": {deeper}");
        source = deeper.source();
    }
    told
}

/// What to do where TLS stands in the way, by what [an error](told) or an answer says; `None` where it does not.
pub(super) fn obstacle(says: &str) -> Option<&'static str> {
    let has = |what: &str| says.contains(what);
    if has("hostname mismatch") || has("IP address mismatch") {
        return Some("its certificate is made out to another name: give it that name in influx.url");
    }
    if has("certificate has expired") {
        return Some("its certificate has expired: renew it there");
    }
    if has("certificate verify failed") {
        return Some(
            "its certificate is signed by nobody who is trusted here: set influx.ca_file to the certificate of the CA \
             that signed it",
        );
    }
    if has("wrong version number") {
        return Some(
            "it speaks no TLS at this port: begin influx.url with http://, or give the port for TLS",
        );
    }
    is_for_tls(says).then_some("it speaks TLS at this port: begin influx.url with https://")
}

/// Whether an answer says that the request should have come by TLS. It says nothing about what was in it.
pub(super) fn is_for_tls(says: &str) -> bool {
    says.contains(SPEAKS_TLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_asked_are_refused() {
        assert_eq!(url("http://db:8086/", "/query").unwrap().as_str(), "http://db:8086/query");
        assert_eq!(url("http://proxy/influx", "/query").unwrap().as_str(), "http://proxy/influx/query");
        for base in ["", "db:8086", "ftp://db", "http//db"] {
            let error = url(base, "/query").unwrap_err();
            assert!(error.to_string().contains("such as http://influxdb:8086"), "{base}: {error}");
        }
        match url("https://db", "/query") {
            Ok(url) => assert!(cfg!(feature = "tls") && url.scheme() == "https"),
            Err(error) => assert!(!cfg!(feature = "tls") && error.to_string().contains("--features tls")),
        }
    }

    #[test]
    fn what_stands_in_the_way_of_tls_is_told_with_what_mends_it() {
        // As OpenSSL says it; the tests with real servers see that it still does.
        let verify =
            "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed";
        let cases = [
            (format!("{verify}: (hostname mismatch)"), "in influx.url"),
            (format!("{verify}: (IP address mismatch)"), "in influx.url"),
            (format!("{verify}: (certificate has expired)"), "renew it"),
            (format!("{verify}: (self-signed certificate in certificate chain)"), "influx.ca_file"),
            ("error:0A00010B:SSL routines:ssl3_get_record:wrong version number".to_owned(), "http://"),
            ("Client sent an HTTP request to an HTTPS server.".to_owned(), "https://"),
        ];
        for (says, mend) in cases {
            assert!(obstacle(&says).is_some_and(|told| told.contains(mend)), "{says}");
        }
        assert_eq!(obstacle("tcp connect error: Connection refused (os error 111)"), None);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_ca_file_for_tls_that_holds_no_certificate_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let mut config = Config::new("https://db", "flagmeter", "hush");
        config.ca_file = Some(path.clone());
        let block = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n";
        for text in [None, Some("no certificate"), Some(block)] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let told = http(&config).unwrap_err().to_string();
            assert!(told.starts_with(&format!("influx.ca_file {} cannot be used", path.display())), "{told}");
        }
    }
}
