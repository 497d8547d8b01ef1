//go:build !amd64

package kernel

// The generic path, the only one here, calls none of these.

func gatherRows(n, dim int, ids *int32, ahead int, table, dst *float32, stride int) {}

func gatherInt8Rows(n, dim int, ids *int32, ahead int, table *byte, dst *float32, stride int) {}

func scatterAdd(n, dim int, slots *int32, ahead int, dst, src *float32, stride int) {}

func adamRows(n, dim int, ids *int32, ahead int, w, m, v, grad, s *float32) {}
