//! Finds stages that take files from each other in a circle.

use crate::error::Span;

/// Returns the stage from which a circle was found, and the instructions that lead into it and around it.
///
/// `edges` says for each stage which others it takes files from, and where it says so.
pub(crate) fn find(edges: &[Vec<(usize, Span)>]) -> Option<(usize, Vec<Span>)> {
    let mut visited = vec![false; edges.len()];
    let mut on_path = vec![false; edges.len()];
    for start in 0..edges.len() {
        // The path is kept on the heap: a file may have as many stages as lines.
        let mut path: Vec<(usize, usize)> = Vec::new();
        if !visited[start] {
            visited[start] = true;
            on_path[start] = true;
            path.push((start, 0));
        }
        while let Some((stage, next)) = path.pop() {
            let Some(&(to, _)) = edges[stage].get(next) else {
                on_path[stage] = false;
                continue;
            };
            path.push((stage, next + 1));
            if on_path[to] {
                return Some((start, path.iter().map(|&(stage, next)| edges[stage][next - 1].1).collect()));
            }
            if !visited[to] {
                visited[to] = true;
                on_path[to] = true;
                path.push((to, 0));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(first_line: usize) -> Span {
        Span { first_line, last_line: first_line, column: 1 }
    }

    // DF-085
    #[test]
    fn circles_are_found_with_the_lines_that_make_them() {
        let edges = [vec![(1, line(2))], vec![(2, line(4))], vec![(1, line(6))], vec![]];
        assert_eq!(find(&edges), Some((0, vec![line(2), line(4), line(6)])));
        assert_eq!(find(&[vec![(0, line(2))]]), Some((0, vec![line(2)])));
        assert_eq!(find(&[vec![], vec![(0, line(1)), (0, line(2))], vec![(1, line(3)), (0, line(4))]]), None);
        let long: Vec<_> = (0..200_000).map(|stage| vec![(stage + 1, line(stage))]).chain([vec![]]).collect();
        assert_eq!(find(&long), None);
    }
}
