//! The plot, as SVG that reads well on a light and on a dark page: nothing but mid-tones on no
//! background.

use std::fmt::Write as _;

use crate::Compared;

const WIDTH: usize = 760;
const HEIGHT: usize = 250;
/// The room for axes and titles around the field of a chart.
const LEFT: usize = 72;
const RIGHT: usize = 16;
const TOP: usize = 44;
const BOTTOM: usize = 46;

/// The time that is shown, in seconds.
const SECONDS: usize = 45;

const PLAIN: &str = "#d9822b";
const OURS: &str = "#2b8fd9";
const INK: &str = "#808080";

/// Draws the scenarios that have a title.
pub(crate) fn draw(compared: &[Compared]) -> String {
    let shown: Vec<_> = compared.iter().filter(|one| one.scenario.title.is_some()).collect();
    let height = HEIGHT * shown.len() + 28;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\" role=\"img\" \
         aria-label=\"Arrivals per second at an upstream that restarts\">\n"
    );
    for (row, one) in shown.iter().enumerate() {
        chart(&mut svg, one, row * HEIGHT);
    }
    let y = height - 12;
    legend(&mut svg, LEFT, y, PLAIN, "doubling delays without jitter");
    legend(&mut svg, LEFT + 230, y, OURS, "mcpline");
    svg.push_str("</svg>\n");
    svg
}

fn chart(svg: &mut String, one: &Compared, top: usize) {
    let (plain, ours) = (one.plain.seconds(), one.ours.seconds());
    let most = plain.iter().chain(&ours).take(SECONDS).max().copied().unwrap_or(0);
    let most = plain[..SECONDS].iter().chain(&ours[..SECONDS]).max().copied().unwrap_or(most);
    let step = step_for(most);
    let ceiling = most.div_ceil(step).max(1) * step;
    let (field_top, field_bottom) = (top + TOP, top + HEIGHT - BOTTOM);
    let right = WIDTH - RIGHT;
    let x = |second: usize| LEFT + (right - LEFT) * second / SECONDS;
    let y = |count: usize| field_bottom - (field_bottom - field_top) * count / ceiling;

    // Writing to a string cannot fail.
    let title = one.scenario.title.unwrap_or_default();
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\" font-size=\"14\">{title}</text>", top + 22);
    for count in (0..=ceiling).step_by(step) {
        let y = y(count);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y}H{right}\" stroke=\"{INK}\" stroke-opacity=\".25\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{count}</text>",
            LEFT - 8,
            y + 4
        );
    }
    for second in (0..=SECONDS).step_by(5) {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{second}</text>",
            x(second),
            field_bottom + 18
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">seconds since all lost their streams</text>",
        usize::midpoint(LEFT, right),
        field_bottom + 34
    );
    let middle = usize::midpoint(field_top, field_bottom);
    let _ = writeln!(
        svg,
        "<text transform=\"translate(14 {middle}) rotate(-90)\" text-anchor=\"middle\">arrivals per \
         second</text>"
    );
    // Whole seconds, as all scenarios have them.
    let back = x(format!("{:.0}", one.scenario.back_at).parse().unwrap_or(0));
    let _ = writeln!(
        svg,
        "<path d=\"M{back} {field_top}V{field_bottom}\" stroke=\"{INK}\" stroke-dasharray=\"4 3\"/>\
         <text x=\"{}\" y=\"{}\">back</text>",
        back + 5,
        field_top + 11
    );
    for (colour, series) in [(PLAIN, &plain), (OURS, &ours)] {
        let mut path = format!("M{LEFT} {field_bottom}");
        for (second, count) in series.iter().take(SECONDS).enumerate() {
            let _ = write!(path, "V{}H{}", y(*count), x(second + 1));
        }
        let _ = writeln!(
            svg,
            "<path d=\"{path}V{field_bottom}\" fill=\"{colour}\" fill-opacity=\".3\" \
             stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        );
    }
}

/// Steps of the axis: about five, of a round size.
fn step_for(most: usize) -> usize {
    let mut step = 1;
    loop {
        for factor in [1, 2, 5] {
            if most <= factor * step * 5 {
                return factor * step;
            }
        }
        step *= 10;
    }
}

fn legend(svg: &mut String, x: usize, y: usize, colour: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"10\" fill=\"{colour}\" fill-opacity=\".5\" \
         stroke=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{text}</text>",
        y - 10,
        x + 20
    );
}
