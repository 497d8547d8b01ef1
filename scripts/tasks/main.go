// Command tasks trains models of two tasks, and two models of one task each, on generated clicks and likes with several seeds. It prints their
// test AUC as a Markdown table, with paired differences to the two single models and 95 % intervals by Student's t. Every seed has another
// world of users and items.
//
// Usage: go run ./scripts/tasks [-seeds 5] [-set key=value ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cki/report"
)

// variant is a row of the table: trainings that together have both tasks.
type variant struct {
	name string
	runs [][]string // overrides of each training
}

// config is what the variants override.
const config = "configs/likes_mmoe.yaml"

// single returns two trainings of a model, one for each label.
func single(model string) [][]string {
	var runs [][]string
	for _, label := range labels {
		runs = append(runs, []string{"model=" + model, "data.label=" + label, "task={type: multi_task, tasks: [{label: " + label + "}]}"})
	}
	return runs
}

var labels = []string{"click", "like"}

const (
	bottom = "{type: shared_bottom, embedding_dim: 8, bottom_hidden_units: [64, 32], tower_hidden_units: [16]}"
	mmoe   = "{type: mmoe, embedding_dim: 8, num_experts: 4, expert_hidden_units: [64, 32], tower_hidden_units: [16]}"
	ple    = "{type: ple, embedding_dim: 8, num_shared_experts: 2, num_specific_experts: 1, expert_hidden_units: [64, 32], tower_hidden_units: [16]}"
	esmm   = "{type: esmm, embedding_dim: 8, tower_hidden_units: [64, 32, 16]}"
)

// variants are the rows. The others are compared with the first one.
var variants = []variant{
	{"two models, one tower each", single(bottom)},
	{"two models, four experts each", single(mmoe)},
	{"shared bottom", [][]string{{"model=" + bottom}}},
	{"MMoE", [][]string{{"model=" + mmoe}}},
	{"PLE", [][]string{{"model=" + ple}}},
	{"ESMM", [][]string{{"model=" + esmm}}},
}

func main() {
	seeds := flag.Int("seeds", 5, "runs of each variant, with seeds 1, 2, ...")
	var set overrides
	flag.Var(&set, "set", "override a key of "+config+", a.b=value; may be given several times")
	flag.Parse()
	if err := table(context.Background(), *seeds, set); err != nil {
		fmt.Fprintln(os.Stderr, "tasks:", err)
		os.Exit(1)
	}
}

// overrides are the values of a flag that may be given several times.
type overrides []string

func (o *overrides) String() string { return strings.Join(*o, " ") }

// Set appends a value.
func (o *overrides) Set(v string) error {
	*o = append(*o, v)
	return nil
}

// table trains everything and prints the table.
func table(ctx context.Context, seeds int, set []string) error {
	if seeds < 1 {
		return fmt.Errorf("-seeds is %d: want 1 or more", seeds)
	}
	dir, err := os.MkdirTemp("", "splice-tasks-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	auc := make([]map[string][]float64, len(variants))
	for i, v := range variants {
		auc[i] = map[string][]float64{}
		for seed := 1; seed <= seeds; seed++ {
			for _, run := range v.runs {
				all := append(append(append([]string{}, set...), run...), fmt.Sprint("seed=", seed), fmt.Sprint("data.seed=", seed))
				r, err := splice.Train(ctx, config, splice.Options{Run: filepath.Join(dir, "run"), Set: all, Overwrite: true})
				if err != nil {
					return err
				}
				for _, label := range labels {
					if v, ok := r.Test["auc."+label]; ok {
						auc[i][label] = append(auc[i][label], v)
					}
				}
			}
			fmt.Fprintf(os.Stderr, "%s, seed %d: done\n", v.name, seed)
		}
	}
	return show(auc)
}

// show prints the table of the AUCs by variant, label and seed.
func show(auc []map[string][]float64) error {
	head, line := "| model |", "|---|"
	for _, label := range labels {
		head += fmt.Sprintf(" test AUC, %s | to two models, 95 %% interval |", label)
		line += "---|---|"
	}
	fmt.Println(head)
	fmt.Println(line)
	for i, v := range variants {
		var row strings.Builder
		row.WriteString("| " + v.name + " |")
		for _, label := range labels {
			own := report.Mean(auc[i][label])
			row.WriteString(fmt.Sprintf(" %.4f ± %.4f |", own.Mean, own.SD))
			if i == 0 {
				row.WriteString(" |")
				continue
			}
			d, err := report.Paired(auc[i][label], auc[0][label])
			if err != nil {
				return err
			}
			row.WriteString(fmt.Sprintf(" %+.4f [%+.4f, %+.4f] |", d.Mean, d.Low(), d.High()))
		}
		fmt.Println(row.String())
	}
	return nil
}
