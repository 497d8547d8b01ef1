//go:build !amd64

package kernel

// No rows fill vectors here, and none of the others is called.

func fills(int) bool { return false }

func dotRows(rows, n int, x, q, out *float32) {}

func weightedRows(rows, n int, x, p, y *float32) {}

func outerRows(rows, n int, p, a, s, b, dst *float32) {}

func sumRows(rows, n int, x *float32, ld int, dst *float32) {}
