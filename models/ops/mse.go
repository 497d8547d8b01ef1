package ops

import G "gorgonia.org/gorgonia"

// MSE is the mean over the live rows of the squared error of predictions z [B, 1] with labels y [B, 1], a scalar:
//
//	(z − y)²
//
// times the row's weight. It is summed in float64. A label that is not finite is an error of the run. The gradient of the predictions is
// 2·w·(z − y)/N, and zero in padding rows. Labels and weights have none.
func MSE(pred *G.Node, t Target) (*G.Node, error) {
	return rowLoss{
		name: "mse", what: "prediction", cost: 1, label: func(y float32) bool { return y-y == 0 }, want: "a number",
		loss: func(x [][]float32, r int) float64 {
			d := float64(x[0][r]) - float64(x[1][r])
			return d * d
		},
		slope: func(x [][]float32, r int) float64 { return 2 * (float64(x[0][r]) - float64(x[1][r])) },
	}.apply(t, pred)
}
