//! What a first start makes and shows.

use std::fmt::Write as _;

use flagmeter_queries::access::{NewToken, Role};

use super::Server;
use crate::{
    Error, Result,
    config::Config,
    process::folder::{Folder, registry_file, write_whole},
    registry::Starter,
};

/// Makes the registry of a data folder, where there is neither one nor a good copy of one. One that is configured
/// and missing is a mistake that shall show.
pub(super) fn make_registry(config: &Config, folder: &Folder) -> Result<()> {
    let path = registry_file(config);
    if config.registry.is_elsewhere() || path.exists() || folder.registry_good_copy().exists() {
        return Ok(());
    }
    write_whole(&path, &Starter::new().text()).map_err(|reason| Error::File { path, reason })
}

/// Where there is no token yet: makes an operator's, and tells how to count and how to read. Made only once
/// everything else has started, because it is shown only now.
pub(super) fn welcome(server: &Server) -> Result<Option<String>> {
    if !server.tokens().list().is_empty() {
        return Ok(None);
    }
    let new =
        NewToken { role: Role::Operator, note: Some("made at the first start".into()), expires_at: None };
    let token = server.tokens().create(new, "first start")?.text;
    let registry = server.registry();
    let key = registry
        .customers()
        .iter()
        .flat_map(|customer| &customer.projects)
        .flat_map(|project| &project.environments)
        .find_map(|environment| environment.keys.first());
    let url = server.url();
    let mut text = format!("\nThis is the first start, in {}.\n", server.config().data.path.display());
    if let Some(key) = key {
        let _infallible = write!(
            text,
            "\nCount something:\n  \
             curl -sS -X POST {url}/v1/counts \\\n    \
             -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n    \
             -d '{{\"counts\":[{{\"flag\":\"checkout-v2\",\"variant\":\"on\",\"count\":12}}]}}'\n",
            key = key.as_str()
        );
    }
    let _infallible = write!(
        text,
        "\nRead it, a second or two later. The token is shown only now; `flagmeter token create` makes others:\n  \
         curl -sS '{url}/v1/usage?from=-1h&to=now&group_by=flag' \\\n    \
         -H 'Authorization: Bearer {token}'\n\
         \nOr look at it: open {url}/ and sign in with\n  {token}"
    );
    Ok(Some(text))
}
