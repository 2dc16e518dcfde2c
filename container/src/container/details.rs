//! The document that `inspect` shows of a container.

use super::record::Status;
use super::store::Container;
use serde_json::{Value, json};

/// The time of what never happened, as Go writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn mounts(container: &Container) -> Value {
    let files = container.directory.ancestors().nth(2).map(|data| data.join("sandbox/state/v")).unwrap_or_default();
    let volumes = container.record.volumes.iter().map(|mount| {
        json!({
            "Type": "volume",
            "Name": mount.volume,
            "Source": files.join(&mount.volume),
            "Destination": mount.target,
            "Driver": "local",
            "Mode": if mount.read_only { "ro" } else { "z" },
            "RW": !mount.read_only,
            "Propagation": "",
        })
    });
    volumes.collect()
}

/// Returns the document that `inspect` shows.
pub fn container_details(container: &Container) -> Value {
    let (record, state) = (&container.record, &container.state);
    let (path, arguments) = record.argv.split_first().map_or(("", &[][..]), |(path, rest)| (path.as_str(), rest));
    let is = |status: Status| state.status == status;
    let mut config = json!(record.config);
    if let Some(fields) = config.as_object_mut() {
        for name in ["Cmd", "Entrypoint", "Env", "Volumes", "OnBuild", "Labels"] {
            fields.entry(name).or_insert(Value::Null);
        }
        fields.remove("ArgsEscaped");
        fields.insert("Hostname".to_owned(), json!(record.hostname));
        fields.insert("Image".to_owned(), json!(record.image_name));
        fields.insert("Tty".to_owned(), json!(record.terminal));
        fields.insert("OpenStdin".to_owned(), json!(record.interactive));
    }
    let ports: serde_json::Map<String, Value> = state
        .ports
        .iter()
        .map(|port| {
            (format!("{}/tcp", port.container), json!([{ "HostIp": "127.0.0.1", "HostPort": port.host.to_string() }]))
        })
        .collect();
    json!({
        "Id": record.id,
        "Created": record.created,
        "Path": path,
        "Args": arguments,
        "State": {
            "Status": state.status.as_str(),
            "Running": container.is_running(),
            "Paused": is(Status::Paused),
            "Restarting": false,
            "OOMKilled": state.out_of_memory,
            "Dead": false,
            "Pid": if container.is_running() { state.supervisor } else { 0 },
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": state.started_at.as_deref().unwrap_or(NEVER),
            "FinishedAt": state.finished_at.as_deref().unwrap_or(NEVER),
        },
        "Image": record.image.to_string(),
        "LogPath": container.directory.join("log.json"),
        "Name": format!("/{}", record.name),
        "RestartCount": 0,
        "Driver": "overlay2",
        "HostConfig": {
            "AutoRemove": record.auto_remove,
            "NetworkMode": if record.no_network { "none" } else { "default" },
            "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 },
            "ReadonlyRootfs": record.read_only,
            "Memory": record.memory_bytes.unwrap_or(0),
            "NanoCpus": record.cpus.map_or(0, |cpus| (cpus * 1e9) as i64),
            "PidsLimit": record.pids,
            "Init": record.init,
            "Privileged": false,
        },
        "Mounts": mounts(container),
        "Config": config,
        "NetworkSettings": { "Ports": ports },
    })
}
