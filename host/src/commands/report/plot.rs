//! Plots one metric as SVG, which needs no script and can be printed.

use std::fmt::Write as _;

use crate::ui::number;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// Plots the points in order: by time if all have one, else by number.
pub(super) fn of(points: &[(Option<u64>, f64)]) -> String {
    let begin = points.iter().find_map(|(time, _)| *time).unwrap_or(0);
    let timed = points.iter().all(|(time, _)| time.is_some())
        && points.last().is_some_and(|(time, _)| time.is_some_and(|time| time > begin + 1000));
    let place = |index: usize, time: Option<u64>| match (timed, time) {
        (true, Some(time)) => time.saturating_sub(begin) as f64 / 1000.0,
        _ => index as f64 + 1.0,
    };
    let xs: Vec<f64> = points.iter().enumerate().map(|(index, (time, _))| place(index, *time)).collect();
    let (first, last) = (xs.first().copied().unwrap_or(0.0), xs.last().copied().unwrap_or(0.0));
    let least = points.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    // A flat line is drawn in the middle.
    let margin = if most > least { (most - least) * 0.05 } else { most.abs().max(1.0) * 0.5 };
    let (low, high) = (least - margin, most + margin);
    let x = |at: f64| LEFT + (at - first) / (last - first).max(f64::MIN_POSITIVE) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for value in [least, (least + most) / 2.0, most] {
        let at = y(value);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            number(Some(value)),
        );
        if most <= least {
            break;
        }
    }
    let unit = if timed { " s" } else { "" };
    for (at, anchor) in [(first, "start"), (last, "end")] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}{unit}</text>",
            x(at),
            HEIGHT - 8.0,
            number(Some(at)),
        );
    }
    let line: Vec<String> =
        xs.iter().zip(points).map(|(at, (_, value))| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
    match line.as_slice() {
        [one] => {
            let (cx, cy) = one.split_once(',').unwrap_or(("0", "0"));
            let _ = write!(svg, "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3\"/>");
        }
        _ => {
            let _ = write!(svg, "<polyline points=\"{}\"/>", line.join(" "));
        }
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_stays_in_its_frame() {
        let many: Vec<_> = (0..200).map(|step| (Some(step * 500), 1e9 / (step as f64 + 1.0))).collect();
        for points in [&many[..], &many[..1], &[(None, 2.0), (None, 2.0)], &[(None, -1.0), (None, 1e-9)]] {
            let svg = of(points);
            let line = svg.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            for point in line.split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT - 0.1..=WIDTH - RIGHT + 0.1).contains(&x), "{point}");
                assert!((TOP - 0.1..=HEIGHT - BOTTOM + 0.1).contains(&y), "{point}");
            }
        }
        assert!(of(&many).contains("99.5 s"), "{}", of(&many));
    }
}
