// Package splice opens trained runs and scores rows with them, and trains, fine-tunes and merges as the commands do.
//
//	r, err := splice.Open("runs/clicks")
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	scores, err := r.Score(ctx, []splice.Row{{"user": "u17", "ad": 204, "price": 9.5, "tags": []string{"new", "red"}}})
//
// docs/library.md tells more. The packages below are for those who extend Splice: docs/architecture.md says what each holds.
package splice
