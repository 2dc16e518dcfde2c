//! Whether a version is within a range, as `semvercmp` reads both: `>=1.2, <2 || ~3.1`.

use crate::Error;
use semver::Version;

/// A version of which parts may be missing or `x`.
struct Partial {
    version: Version,
    parts: usize,
}

/// Tells whether a version satisfies a constraint.
pub(crate) fn matches(version: &str, constraint: &str) -> Result<bool, Error> {
    let found = partial(version).filter(|found| found.parts > 0);
    let found = found.ok_or_else(|| Error::new(format!("`{version}` is not a version")))?.version;
    let mut any = false;
    for range in constraint.split("||") {
        any |= all(&found, range)?;
    }
    Ok(any)
}

fn partial(text: &str) -> Option<Partial> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let cut = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(cut);
    let mut version = Version::new(0, 0, 0);
    let mut parts = 0;
    for (at, number) in numbers.split('.').enumerate() {
        if matches!(number, "x" | "X" | "*") {
            break;
        }
        let number = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        *[&mut version.major, &mut version.minor, &mut version.patch].into_iter().nth(at)? = number;
        parts = at + 1;
    }
    let (before, build) = rest.split_once('+').unwrap_or((rest, ""));
    version.pre = before.strip_prefix('-').unwrap_or("").parse().ok()?;
    version.build = build.parse().ok()?;
    Some(Partial { version, parts })
}

/// Tells whether all parts of a range hold; commas and spaces stand between them.
fn all(version: &Version, range: &str) -> Result<bool, Error> {
    if let Some((low, high)) = range.split_once(" - ") {
        return Ok(one(version, ">=", low.trim())? && one(version, "<=", high.trim())?);
    }
    let operator = |char: char| "=!<>~^".contains(char);
    let mut rest = range.trim_matches([' ', ',']);
    if rest.is_empty() {
        return Err(Error::new("a constraint is empty"));
    }
    let mut holds = true;
    while !rest.is_empty() {
        let (sign, after) = rest.split_at(rest.find(|char| !operator(char)).unwrap_or(rest.len()));
        let after = after.trim_start();
        let (wanted, after) = after.split_at(after.find([' ', ',']).unwrap_or(after.len()));
        holds &= one(version, sign, wanted)?;
        rest = after.trim_start_matches([' ', ',']);
    }
    Ok(holds)
}

fn one(version: &Version, sign: &str, wanted: &str) -> Result<bool, Error> {
    let unknown = || Error::new(format!("`{sign}{wanted}` is not a constraint of versions"));
    let Partial { version: low, parts } = partial(wanted).ok_or_else(unknown)?;
    // A version before a release is only within a range that names one.
    if !version.pre.is_empty() && low.pre.is_empty() && sign != "!=" {
        return Ok(false);
    }
    let next = |kept: usize| match kept {
        0 => Version::new(u64::MAX, 0, 0),
        1 => Version::new(low.major.saturating_add(1), 0, 0),
        2 => Version::new(low.major, low.minor.saturating_add(1), 0),
        _ => Version::new(low.major, low.minor, low.patch.saturating_add(1)),
    };
    let below = |end: Version| low <= *version && *version < end;
    let same = || if parts < 3 { below(next(parts)) } else { version.cmp_precedence(&low).is_eq() };
    Ok(match sign {
        "" | "=" => same(),
        "!=" => !same(),
        ">" if parts < 3 => *version >= next(parts),
        ">" => *version > low,
        ">=" | "=>" => *version >= low,
        "<" => *version < low,
        "<=" | "=<" if parts < 3 => *version < next(parts),
        "<=" | "=<" => *version <= low,
        "~" | "~>" => below(next(parts.min(2))),
        "^" => below(match (low.major, low.minor) {
            (0, 0) if parts == 3 => next(3),
            (0, _) if parts >= 2 => next(2),
            _ => next(parts.min(1)),
        }),
        _ => return Err(unknown()),
    })
}
