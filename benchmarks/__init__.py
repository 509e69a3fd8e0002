"""Side-by-side timings; each script prints ratios."""
