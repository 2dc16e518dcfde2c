//! How ids inside a sandbox become ids of this machine: extents, as the kernel takes them for a user namespace.

use std::fmt::Write;
use std::io;

/// Extents that the kernel takes for one namespace.
const MAX_EXTENTS: usize = 340;
/// The id that the kernel uses for "none": no user has it.
pub(crate) const NO_ID: u32 = u32::MAX;
/// First id outside of what images usually hold: far above people, services and most ranges of `/etc/subuid`.
pub(crate) const ROOT_BASE: u32 = 0x7000_0000;
/// Ids of this machine that no container gets: its own, its people's, and the first ranges of `/etc/subuid`.
const OWN: u32 = 0x0010_0000;

/// Consecutive ids that are mapped together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first one inside.
    pub inside: u32,
    /// The first one outside.
    pub outside: u32,
    /// How many there are.
    pub count: u32,
}

/// Consecutive ids of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first one.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

impl Range {
    /// Returns the first id after the range.
    fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }

    fn between(first: u64, end: u64) -> Option<Range> {
        let count = u32::try_from(end.checked_sub(first)?).ok()?;
        Some(Range { first: u32::try_from(first).ok()?, count }).filter(|range| range.count > 0)
    }

    /// Returns what is in both ranges.
    fn both(self, other: Range) -> Option<Range> {
        Range::between(u64::from(self.first.max(other.first)), self.end().min(other.end()))
    }

    /// Returns what is in this range and not in `other`.
    fn without(self, other: Range) -> impl Iterator<Item = Range> {
        let before = Range::between(u64::from(self.first), self.end().min(u64::from(other.first)));
        let after = Range::between(u64::from(self.first).max(other.end()), self.end());
        before.into_iter().chain(after)
    }
}

/// Maps all ids of images to ids of this machine that are nobody's.
///
/// There are as many ids inside as outside, and the machine's own are not given away: so some must be left without a place
/// inside. They are far from all that anybody uses. Ids below 2^31 go to ids above it, which accounts never have.
pub(crate) const ALL: [Extent; 5] = [
    Extent { inside: 0, outside: ROOT_BASE, count: 0x0001_0000 },
    Extent { inside: 0x0001_0000, outside: 0x8000_0000, count: 0x7fff_0000 },
    Extent { inside: 0x8000_0000, outside: OWN, count: ROOT_BASE - OWN },
    Extent { inside: 0xf000_0000, outside: ROOT_BASE + 0x0001_0000, count: 0x0fff_0000 },
    Extent { inside: 0xffff_0000, outside: 0xffff_0000, count: 0x0000_ffff },
];

/// Returns the map for a service that is root, where this machine has the ids of `machine`.
///
/// In a container that has only some, the first thousand are left to it and the others are used.
pub(crate) fn of_root(machine: &[Extent]) -> Vec<Extent> {
    let there: Vec<Range> = machine.iter().map(|extent| Range { first: extent.inside, count: extent.count }).collect();
    let mut map = Vec::new();
    for extent in ALL {
        for part in there.iter().filter_map(|there| extent.outside().both(*there)) {
            let inside = extent.inside + (part.first - extent.outside);
            map.push(Extent { inside, outside: part.first, count: part.count });
        }
    }
    if map.first().is_some_and(|first| (first.inside, first.count) == (0, ALL[0].count)) && map.len() <= MAX_EXTENTS {
        return map;
    }
    let system = Range { first: 0, count: 1000 };
    one_after_the_other(&there.into_iter().flat_map(|range| range.without(system)).collect::<Vec<_>>())
}

/// Maps ids from 0 on to `ranges`, one after the other.
pub(crate) fn one_after_the_other(ranges: &[Range]) -> Vec<Extent> {
    let mut inside = 0u32;
    let mut map = Vec::new();
    for range in ranges.iter().take(MAX_EXTENTS) {
        let count = range.count.min(NO_ID - inside);
        if count > 0 {
            map.push(Extent { inside, outside: range.first, count });
        }
        inside += count;
    }
    map
}

/// Returns the ranges that `text`, which is `/etc/subuid` or `/etc/subgid`, gives an account: its name and user id.
///
/// None overlaps another, and neither root's id nor `own`, the account's, is among them. The first one that is large enough
/// for an image's accounts comes first.
pub(crate) fn granted(text: &str, name: &str, uid: u32, own: u32) -> Vec<Range> {
    let number = uid.to_string();
    let mut lines: Vec<Range> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':').map(str::trim);
            let owner = fields.next()?;
            let (first, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            (owner == name || owner == number).then_some(Range { first, count: count.min(NO_ID - first) })
        })
        .collect();
    if let Some(large) = lines.iter().position(|range| range.count >= 1000) {
        lines[..=large].rotate_right(1);
    }
    let mut taken = vec![Range { first: 0, count: 1 }, Range { first: own, count: 1 }];
    let mut granted = Vec::new();
    for line in lines {
        let mut free = vec![line];
        for taken in &taken {
            free = free.into_iter().flat_map(|range| range.without(*taken)).collect();
        }
        taken.push(line);
        granted.extend(free);
    }
    granted
}

/// Returns `granted` in an order in which the ids of `before`, the ranges that were used until now, keep their places;
/// `None` if some of them are not granted any more.
pub(crate) fn keeping(before: &[Range], granted: Vec<Range>) -> Option<Vec<Range>> {
    let mut left = granted;
    for used in before {
        let covered: u64 = left.iter().filter_map(|range| range.both(*used)).map(|both| u64::from(both.count)).sum();
        if covered != u64::from(used.count) {
            return None;
        }
        left = left.into_iter().flat_map(|range| range.without(*used)).collect();
    }
    Some(before.iter().copied().chain(left).collect())
}

/// Reads what the kernel tells of a map: lines of first id inside, first id outside, and count.
pub(crate) fn read(file: &str) -> io::Result<Vec<Extent>> {
    let text = std::fs::read_to_string(file)?;
    let extents = text.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        Some(Extent { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
    });
    Ok(extents.collect())
}

/// Returns a map as the kernel takes it.
pub(crate) fn lines(map: &[Extent]) -> String {
    let mut text = String::new();
    for Extent { inside, outside, count } in map {
        let _ = writeln!(text, "{inside} {outside} {count}");
    }
    text
}

impl Extent {
    /// Returns the ids outside.
    pub(crate) fn outside(self) -> Range {
        Range { first: self.outside, count: self.count }
    }

    /// Returns whether an id inside belongs to it.
    pub(crate) fn has(self, id: u32) -> bool {
        id.checked_sub(self.inside).is_some_and(|distance| distance < self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Extent = Extent { inside: 0, outside: 0, count: NO_ID };

    fn range(first: u32, count: u32) -> Range {
        Range { first, count }
    }

    #[test]
    fn every_id_of_an_image_has_a_place_of_its_own() {
        // EN-44
        let map = of_root(&[MACHINE]);
        assert_eq!(map, ALL);
        for (number, extent) in map.iter().enumerate() {
            assert!(extent.outside >= OWN && extent.outside().end() <= u64::from(NO_ID), "{extent:?}");
            for other in &map[number + 1..] {
                assert_eq!(extent.outside().both(other.outside()), None, "{extent:?} {other:?}");
            }
        }
        let places = |id: u32| map.iter().filter(|extent| extent.has(id)).count();
        for id in [0, 65_535, 65_536, 100_000, 197_609, 1_000_640_000, 1_516_583_083, 2_147_483_647, 2_147_483_648] {
            assert_eq!(places(id), 1, "{id}");
        }
        for id in [3_000_000_000, 4_000_000_000, 4_294_901_759, 4_294_901_760, 4_294_967_293, 4_294_967_294] {
            assert_eq!(places(id), 1, "{id}");
        }
        assert_eq!(places(NO_ID), 0);
        let all: u64 = map.iter().map(|extent| u64::from(extent.count)).sum();
        assert_eq!(all, u64::from(NO_ID) - u64::from(OWN), "no more than the machine's own are left out");
    }

    #[test]
    fn a_container_gives_what_it_has() {
        let pod = Extent { inside: 0, outside: 500_000, count: 65_536 };
        assert_eq!(of_root(&[pod]), [Extent { inside: 0, outside: 1000, count: 64_536 }]);
    }

    #[test]
    fn all_ranges_of_an_account_are_used_and_none_twice() {
        // EN-44
        let text = "other:1:65536\nme:100:5\nme:100000:65536\n1007:300000:65536\nme:150000:100000\nme:x:1\n";
        assert_eq!(granted(text, "me", 5, 5), [range(100_000, 65_536), range(100, 5), range(165_536, 84_464)]);
        assert_eq!(granted(text, "x", 1007, 8), [range(300_000, 65_536)]);
        assert_eq!(granted(text, "x", 5, 5), []);
        assert_eq!(
            granted("me:0:10\n", "me", 7, 4),
            [range(1, 3), range(5, 5)],
            "neither root's nor the account's own"
        );
        let map = one_after_the_other(&granted(text, "me", 5, 5));
        assert_eq!(map[2], Extent { inside: 65_541, outside: 165_536, count: 84_464 });
        assert_eq!(lines(&map[..2]), "0 100000 65536\n65536 100 5\n");
        let huge = one_after_the_other(&[range(1, NO_ID - 1), range(0, NO_ID)]);
        assert_eq!(huge.iter().map(|extent| u64::from(extent.count)).sum::<u64>(), u64::from(NO_ID));
    }

    #[test]
    fn what_was_used_keeps_its_place() {
        let before = [range(100, 50), range(1000, 10)];
        let granted = vec![range(1000, 20), range(100, 50), range(5, 1)];
        let kept = keeping(&before, granted).unwrap();
        assert_eq!(kept, [range(100, 50), range(1000, 10), range(1010, 10), range(5, 1)]);
        assert_eq!(keeping(&before, vec![range(100, 49), range(1000, 10)]), None);
        assert_eq!(keeping(&[], vec![range(7, 1)]), Some(vec![range(7, 1)]));
    }
}
