//! A plot of lines over two logarithmic axes, as SVG.

use std::fmt::Write;

/// A plot.
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) across: String,
    pub(crate) lines: Vec<Line>,
}

/// A line: its points have positive coordinates.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 6] = ["#1f5fa8", "#3fa9d6", "#c8553d", "#6f9940", "#8a5a9e", "#777777"];

impl Plot {
    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (left, right) = decades(points().map(|point| point.0));
        let (low, high) = decades(points().map(|point| point.1));
        let x = |value: f64| LEFT + (value.log10() - left) / (right - left) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - (value.log10() - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
        let mut out = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>
<text x="{LEFT}" y="24" font-size="15">{}</text>
<text x="{:.0}" y="{:.0}" text-anchor="middle">{}</text>
"#,
            escaped(&self.title),
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 12.0,
            escaped(&self.across),
        );
        for power in left as i32..=right as i32 {
            let at = x(10_f64.powi(power));
            rule(&mut out, (at, TOP), (at, HEIGHT - BOTTOM));
            label(&mut out, (at, HEIGHT - BOTTOM + 18.0), "middle", power);
        }
        for power in low as i32..=high as i32 {
            let at = y(10_f64.powi(power));
            rule(&mut out, (LEFT, at), (WIDTH - RIGHT, at));
            label(&mut out, (LEFT - 8.0, at + 4.0), "end", power);
        }
        let mut names: Vec<(f64, usize)> = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            let points: Vec<String> =
                line.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
                points.join(" ")
            );
            names.extend(line.points.last().map(|point| (y(point.1), at)));
        }
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut least = 0.0_f64;
        for (at, line) in names {
            let at = at.max(least);
            least = at + 14.0;
            let _ = writeln!(
                out,
                r#"<text x="{:.0}" y="{:.1}" fill="{}">{}</text>"#,
                WIDTH - RIGHT + 8.0,
                at + 4.0,
                COLOURS[line % COLOURS.len()],
                escaped(&self.lines[line].name)
            );
        }
        out.push_str("</svg>\n");
        out
    }
}

/// The powers of ten around all values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value.log10()), high.max(value.log10())));
    (low.floor(), high.ceil().max(low.floor() + 1.0))
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        r##"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="#dddddd"/>"##,
        from.0, from.1, to.0, to.1
    );
}

fn label(out: &mut String, at: (f64, f64), anchor: &str, power: i32) {
    let _ = writeln!(
        out,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="{anchor}">10<tspan dy="-5" font-size="9">{power}</tspan></text>"#,
        at.0, at.1
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_reach_around_all_values() {
        assert_eq!(decades([1_500.0, 90_000.0].into_iter()), (3.0, 5.0));
        assert_eq!(decades([1_000.0].into_iter()), (3.0, 4.0));
    }
}
