package splice_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice"
)

// config is a model of clicks; its rows lie in clicks.csv.
const config = `
data:
  type: csv
  path: clicks.csv
  label: click
  columns: {user: {type: categorical}, ad: {type: categorical}, price: {type: numeric}}
  split: {by: order, ratio: [0.8, 0.1, 0.1]}
model: {type: deepfm, embedding_dim: 4, hidden_units: [16]}
train: {batch_size: 32, epochs: 10, learning_rate: 0.02, patience: 0}
`

// shop makes a folder with clicks.yaml and clicks.csv: people like shoes, and nobody likes socks.
func shop() (dir string, set []string) {
	dir, err := os.MkdirTemp("", "splice")
	if err != nil {
		log.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("user,ad,price,click\n")
	for i := range 600 {
		ad, click := "socks", 0
		if i%3 == 0 {
			ad, click = "shoes", 1
		}
		fmt.Fprintf(&rows, "u%d,%s,%d,%d\n", i%20, ad, i%7, click)
	}
	for name, text := range map[string]string{"clicks.yaml": config, "clicks.csv": rows.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			log.Fatal(err)
		}
	}
	return dir, []string{"data.path=" + filepath.Join(dir, "clicks.csv")}
}

func ExampleOpen() {
	ctx := context.Background()
	dir, set := shop()
	defer os.RemoveAll(dir)
	result, err := splice.Train(ctx, filepath.Join(dir, "clicks.yaml"), splice.Options{Run: filepath.Join(dir, "run"), Set: set})
	if err != nil {
		log.Fatal(err)
	}

	r, err := splice.Open(result.Dir)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	scores, err := r.Score(ctx, []splice.Row{
		{"user": "u7", "ad": "shoes", "price": 3},
		{"user": "u7", "ad": "socks", "price": 3},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a click on shoes is likely:", scores[0] > 0.5)
	fmt.Println("a click on socks is likely:", scores[1] > 0.5)
	// Output:
	// a click on shoes is likely: true
	// a click on socks is likely: false
}

func ExampleTrain() {
	dir, set := shop()
	defer os.RemoveAll(dir)
	result, err := splice.Train(context.Background(), filepath.Join(dir, "clicks.yaml"), splice.Options{
		Run: filepath.Join(dir, "run"),
		Set: append(set, "train.epochs=5"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s on %s: %d steps, test auc %.2f\n", result.Model, result.Data, result.Steps, result.Test["auc"])
	// Output: deepfm on csv: 75 steps, test auc 1.00
}

func ExampleMerge() {
	ctx := context.Background()
	dir, set := shop()
	defer os.RemoveAll(dir)
	monday, tuesday := filepath.Join(dir, "monday"), filepath.Join(dir, "tuesday")
	for _, run := range []string{monday, tuesday} {
		if _, err := splice.Train(ctx, filepath.Join(dir, "clicks.yaml"), splice.Options{Run: run, Set: set}); err != nil {
			log.Fatal(err)
		}
	}

	config := filepath.Join(dir, "merge.yaml")
	text := fmt.Sprintf("merge: {parents: [%q, %q], method: {type: average, rows: counts}, report: false}", monday, tuesday)
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		log.Fatal(err)
	}
	merged, err := splice.Merge(ctx, config, splice.Options{Run: filepath.Join(dir, "week")})
	if err != nil {
		log.Fatal(err)
	}
	passed := merged.Table.Rows.Get(merged.Table.Passed)
	fmt.Printf("validation auc %.2f\n", passed.Valid["auc"])
	// Output: validation auc 1.00
}
