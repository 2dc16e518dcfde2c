//! Go templates, as far as people use them with `--format`: fields, pipelines, conditions, loops, functions.

use super::parse::Node;
use super::{evaluate, lexer, parse};
use crate::Error;
use serde_json::Value;

/// A template that was parsed.
#[derive(Debug)]
pub struct Template(Vec<Node>);

impl Template {
    /// Parses `text`; what stands outside of braces may hold `\t` and `\n` as docker's formats do.
    pub fn parse(text: &str) -> Result<Template, Error> {
        let unescaped = text.replace("\\t", "\t").replace("\\n", "\n");
        let nodes = lexer::pieces(&unescaped).and_then(|pieces| parse::parse(&pieces));
        nodes
            .map(Template)
            .map_err(|problem| Error::Invalid(format!("template parsing error: template: :1: {problem}")))
    }

    /// Returns the text for `data`.
    pub fn render(&self, data: &Value) -> Result<String, Error> {
        evaluate::render(&self.0, data).map_err(|problem| {
            Error::Invalid(format!("template parsing error: template: :1: executing \"\" {problem}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data() -> Value {
        json!({
            "Id": "sha256:ab", "Size": 12, "None": null, "Flag": true,
            "Config": { "Cmd": ["nginx", "-g"], "Entrypoint": null, "Labels": { "b": "2", "a": "1" } },
            "List": [{ "Name": "x" }, { "Name": "y" }], "Empty": [],
        })
    }

    fn rendered(text: &str) -> String {
        Template::parse(text).and_then(|template| template.render(&data())).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn templates_give_what_go_gives() {
        for (text, expected) in [
            ("{{.Id}} {{.Size}}", "sha256:ab 12"),
            ("{{.Config.Cmd}}", "[nginx -g]"),
            ("{{.Config.Entrypoint}}", "[]"),
            ("{{json .Config.Entrypoint}}", "null"),
            ("{{json .Config.Cmd}}", r#"["nginx","-g"]"#),
            ("{{.Config.Labels}}", "map[a:1 b:2]"),
            ("{{range .List}}<{{.Name}}>{{end}}", "<x><y>"),
            ("{{range $i, $x := .List}}{{if $i}}, {{end}}{{$i}}={{$x.Name}}{{end}}", "0=x, 1=y"),
            ("{{range $k, $v := .Config.Labels}}{{$k}}{{$v}};{{end}}", "a1;b2;"),
            ("{{range .Empty}}x{{else}}none{{end}}", "none"),
            ("{{if .Flag}}yes{{else}}no{{end}}{{if .Empty}}yes{{else}}no{{end}}", "yesno"),
            ("{{if eq .Size 11}}a{{else if eq .Size 12 13}}b{{else}}c{{end}}", "b"),
            ("{{index .Config.Labels \"a\"}}{{index .Config.Cmd 1}}", "1-g"),
            ("{{(index .List 1).Name}}", "y"),
            ("{{join .Config.Cmd \",\"}}|{{len .List}}", "nginx,-g|2"),
            (
                "{{printf \"%s-%d-%q-%v-%5s|%-4s|\" .Id .Size \"q\" .Config.Cmd \"r\" \"l\"}}",
                "sha256:ab-12-\"q\"-[nginx -g]-    r|l   |",
            ),
            ("{{.Id | upper | printf \"%s!\"}}", "SHA256:AB!"),
            ("{{with .Config}}{{len .Cmd}}{{$.Size}}{{end}}", "212"),
            ("{{$x := .Size}}{{$x}}a {{- /* a comment */ -}} b", "12ab"),
            ("{{and .Flag (not .Empty)}} {{or .None \"d\"}} {{ne .Size 1}} {{lt 1 2}}", "true d true true"),
            ("{{.None}}", "<no value>"),
            ("{{split \"a/b\" \"/\"}} {{truncate .Id 3}} {{println 1}}", "[a b] sha 1\n"),
            ("a\\tb", "a\tb"),
        ] {
            assert_eq!(rendered(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said() {
        for (text, part) in [
            ("{{.Nope}}", "map has no entry for key \"Nope\""),
            ("{{.Id", "unclosed action"),
            ("{{if .Id}}x", "unexpected EOF"),
            ("{{nosuch .Id}}", "function \"nosuch\" not defined"),
            ("{{end}}", "unexpected {{end}}"),
            ("{{index .List 9}}", "out of range"),
            ("{{.Size.X}}", "can't evaluate field X"),
            ("{{}}", "missing value for command"),
            ("{{\"a}}", "unterminated quoted string"),
        ] {
            let said = rendered(text);
            assert!(
                said.starts_with("template parsing error: template: :1: ") && said.contains(part),
                "{text}: {said}"
            );
        }
    }

    #[test]
    fn no_template_makes_the_program_panic_or_recurse_without_end() {
        let deep = format!("{{{{{}.Id{}}}}}", "(".repeat(5000), ")".repeat(5000));
        assert!(rendered(&deep).contains("too deep"));
        for text in [
            "{{printf \"%\"}}",
            "{{printf \"%d\" .Id}}",
            "{{range}}{{end}}",
            "{{if}}{{end}}",
            "{{$}}",
            "{{$x}}",
            "{{|}}",
            "{{-}}",
        ] {
            rendered(text);
        }
    }
}
