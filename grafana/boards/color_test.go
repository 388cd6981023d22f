package main

import (
	"fmt"
	"math"
	"testing"
)

// Whatever is drawn, and numbers as big as those of stats, need a contrast of 3 to 1 (WCAG
// 2.2, 1.4.3 and 1.4.11), on the ground of Grafana's panels in its dark and its light theme.
func TestColorsAreSeen(t *testing.T) {
	for _, c := range []string{listened, played, average, found, skipped, before, other} {
		for theme, ground := range map[string]string{"dark": "#181b1f", "light": "#ffffff"} {
			low, high := luminance(t, c), luminance(t, ground)
			if low > high {
				low, high = high, low
			}
			if contrast := (high + 0.05) / (low + 0.05); contrast < 3 {
				t.Errorf("%s has a contrast of %.2f in the %s theme, want 3", c, contrast, theme)
			}
		}
	}
}

// luminance is the relative luminance of a color (WCAG 2.2).
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	var rgb [3]uint8
	if _, err := fmt.Sscanf(color, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, share := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += share * c
	}
	return sum
}
