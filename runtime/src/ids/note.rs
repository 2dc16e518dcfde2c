//! Notes which ranges of ids an account's sandboxes use, so that files keep their owners when the account gets more.

use crate::Error;
use crate::id_map::{Range, keeping};
use crate::unique::unique;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Users' ranges, then groups'.
type Both = [Vec<Range>; 2];

/// Returns what is granted in the order in which the ranges that `note` names keep their places, and notes it.
pub(crate) fn keep(note: &Path, granted: Both) -> Result<Both, Error> {
    let failed = || format!("noting in `{}` which ids sandboxes use", note.display());
    let state = note.with_file_name("state");
    let before = match fs::read_to_string(note) {
        Ok(text) if state.exists() => read(&text),
        Ok(_) => Both::default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Both::default(),
        Err(error) => return Err(Error::system(failed())(error)),
    };
    let [users, groups] = granted;
    let (Some(users), Some(groups)) = (keeping(&before[0], users), keeping(&before[1], groups)) else {
        return Err(Error::Unsupported(format!(
            "the files in `{}` belong to ids that /etc/subuid and /etc/subgid do not give this account any more ({}): add their lines again, or let root remove that directory, which holds nothing that cannot be made again",
            state.display(),
            written(&before).trim_end().replace('\n', ", "),
        )));
    };
    let kept = [users, groups];
    if kept != before {
        let temporary = note.with_extension(unique());
        note.parent()
            .map_or(Ok(()), |place| DirBuilder::new().recursive(true).mode(0o700).create(place))
            .and_then(|()| fs::write(&temporary, written(&kept)))
            .and_then(|()| fs::rename(&temporary, note))
            .map_err(Error::system(failed()))?;
    }
    Ok(kept)
}

fn written(both: &Both) -> String {
    let lines = |kind: &'static str, ranges: &[Range]| -> String {
        ranges.iter().map(|Range { first, count }| format!("{kind} {first}:{count}\n")).collect()
    };
    lines("uid", &both[0]) + &lines("gid", &both[1])
}

fn read(text: &str) -> Both {
    let of = |kind: &str| {
        let ranges = text.lines().filter_map(|line| {
            let (first, count) = line.strip_prefix(kind)?.trim().split_once(':')?;
            Some(Range { first: first.parse().ok()?, count: count.parse().ok()? })
        });
        ranges.collect()
    };
    [of("uid"), of("gid")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> Both {
        read(text)
    }

    #[test]
    fn ranges_keep_their_places_whatever_is_added_where() {
        // EN-44
        let place = tempfile::tempdir().unwrap();
        let note = place.path().join("sandbox/ids");
        let first = both("uid 100:50\ngid 200:50\n");
        assert_eq!(keep(&note, first.clone()).unwrap(), first);
        fs::create_dir(note.with_file_name("state")).unwrap();
        let more = both("uid 7:3\nuid 100:90\ngid 200:50\ngid 900:5\n");
        let kept = keep(&note, more).unwrap();
        assert_eq!(kept, both("uid 100:50\nuid 7:3\nuid 150:40\ngid 200:50\ngid 900:5\n"));
        let error = keep(&note, both("uid 100:50\ngid 200:50\n")).unwrap_err().to_string();
        assert!(error.contains("uid 7:3") && error.contains("sandbox/state"), "{error}");
        fs::remove_dir(note.with_file_name("state")).unwrap();
        assert_eq!(keep(&note, first.clone()).unwrap(), first);
    }
}
