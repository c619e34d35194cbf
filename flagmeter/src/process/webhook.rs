//! The webhook, as it is set.

use std::path::Path;

use flagmeter_downsampler::{Secret, Webhook, WebhookConfig};

use super::settings;
use crate::{Error, Result, config::Config, traces};

/// Whether the settings of the webhook fit each other; else the one to mend, and why. Its file need not be there.
pub(crate) fn check(config: &Config) -> Result<(), (&'static str, String)> {
    let billing = &config.billing;
    let (text, file) = (billing.webhook_secret.0.as_str(), &billing.webhook_secret_file);
    let (has_text, has_file) = (!text.is_empty(), !file.as_os_str().is_empty());
    if has_text && has_file {
        return Err((
            "billing.webhook_secret_file",
            "billing.webhook_secret is set as well: set one of them".into(),
        ));
    }
    if has_text {
        Secret::read(text).map_err(|why| ("billing.webhook_secret", why.to_owned()))?;
    }
    if billing.webhook_url.is_empty() {
        return Ok(());
    }
    if !has_text && !has_file {
        return Err((
            "billing.webhook_url",
            "it needs a secret that its receiver knows: set billing.webhook_secret, or billing.webhook_secret_file to a \
             file that holds it"
                .into(),
        ));
    }
    match Webhook::check(&billing.webhook_url) {
        Err(flagmeter_downsampler::Error::Config { setting, reason }) => Err((setting, reason)),
        _ => Ok(()),
    }
}

/// Where crossings and alerts are told, if anywhere; `shared` where other processes may tell them as well.
pub(crate) fn config(config: &Config, shared: bool) -> Result<Option<WebhookConfig>> {
    let billing = &config.billing;
    if billing.webhook_url.is_empty() {
        return Ok(None);
    }
    let text = settings::secret(&billing.webhook_secret, &billing.webhook_secret_file)?;
    let secret = Secret::read(&text).map_err(|why| Error::Config(told(&billing.webhook_secret_file, why)))?;
    let link_base = config.bursts.link_base.trim_end_matches('/').to_owned();
    Ok(Some(WebhookConfig {
        url: billing.webhook_url.clone(),
        secret,
        link_base,
        shared,
        traceparent: traces::traceparent,
    }))
}

fn told(file: &Path, why: &str) -> String {
    format!("the secret of billing.webhook_secret_file {} cannot be used: {why}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingArgs;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn load(sets: &[String]) -> Result<Config> {
        let args = SettingArgs { set: sets.to_vec(), ..SettingArgs::default() };
        Ok(args.load_from(std::iter::empty())?.0)
    }

    #[test]
    fn a_webhook_has_an_address_and_one_secret() {
        let url = "billing.webhook_url=http://127.0.0.1:9/hook".to_owned();
        let secret = format!("billing.webhook_secret={SECRET}");
        assert!(config(&load(&[]).unwrap(), false).unwrap().is_none());
        let set = config(&load(&[url.clone(), secret.clone()]).unwrap(), true).unwrap().unwrap();
        assert_eq!((set.url.as_str(), set.shared), ("http://127.0.0.1:9/hook", true));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let file = format!("billing.webhook_secret_file={}", path.display());
        let of_file = || config(&load(&[url.clone(), file.clone()]).unwrap(), false);
        let refused = of_file().unwrap_err().to_string();
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        assert_eq!(of_file().unwrap().unwrap().secret, set.secret);
        std::fs::write(&path, "hush").unwrap();
        let refused = of_file().unwrap_err().to_string();
        assert!(refused.contains("whsec_") && !refused.contains("hush"), "{refused}");
        for (wrong, says) in [
            (vec![url.clone()], "webhook_secret_file to a file"),
            (vec![url, secret.clone(), file], "set one of them"),
            (vec!["billing.webhook_url=billing".to_owned(), secret], "such as https://"),
            (vec!["billing.webhook_secret=hush".to_owned()], "whsec_"),
        ] {
            let refused = load(&wrong).unwrap_err().to_string();
            assert!(refused.contains(says) && !refused.contains(SECRET), "{refused}");
        }
    }
}
