package app

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/merge"
)

// PrintExplanation prints what a merge took from whom: tensor by tensor, row by row, and the rows of tables that are most of one parent.
func PrintExplanation(w io.Writer, e *merge.Explanation) error {
	p := &printer{w: w}
	for k, name := range e.Parents {
		p.printf("parent %s: %s\n", letter(k), name)
	}
	for _, name := range e.Changed {
		p.printf("%s is another model now than the one that was merged: what follows is of the one that is there\n", name)
	}
	if e.Passed != compare.RowMerge {
		p.printf("the model in %s is %q of the comparison\n", e.Dir, e.Passed)
	}
	p.printf("\nshares are the weights of sum 1 whose combination of the parents is nearest to the tensor; the rest is what no combinations of their rows give, such as fine-tuning, over the tensor's norm\n\n")
	t := tabwriter.NewWriter(p, 0, 0, 2, ' ', tabwriter.AlignRight)
	for k := range e.Parents {
		fmt.Fprintf(t, "%s\t", letter(k))
	}
	fmt.Fprint(t, "rest\trows mostly of ")
	for k := range e.Parents {
		fmt.Fprintf(t, "%s\t", letter(k))
	}
	fmt.Fprint(t, "mixed\tequal\t  tensor\n")
	for _, one := range e.Tensors {
		for k := range e.Parents {
			fmt.Fprintf(t, "%s\t", share(one.Shares, k))
		}
		fmt.Fprintf(t, "%.3f\t", one.Residual)
		for k := range e.Parents {
			if one.Rows != nil {
				fmt.Fprintf(t, "%d", one.Rows.Mostly[k])
			}
			fmt.Fprint(t, "\t")
		}
		if one.Rows != nil {
			fmt.Fprintf(t, "%d\t%d\t  %s %v\n", one.Rows.Mixed, one.Rows.Equal, one.Name, one.Shape)
		} else {
			fmt.Fprintf(t, "\t\t  %s %v\n", one.Name, one.Shape)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, one := range e.Tensors {
		if one.Rows == nil || len(one.Rows.Extreme) == 0 {
			continue
		}
		p.printf("\n%s, the rows that are most of one parent, those that were trained most often first\n", one.Name)
		t := tabwriter.NewWriter(p, 0, 0, 2, ' ', tabwriter.AlignRight)
		for k := range e.Parents {
			fmt.Fprintf(t, "%s\t", letter(k))
		}
		for k := range e.Parents {
			fmt.Fprintf(t, "trained by %s\t", letter(k))
		}
		fmt.Fprint(t, "  token\n")
		for _, r := range one.Rows.Extreme {
			for k := range e.Parents {
				fmt.Fprintf(t, "%s\t", share(r.Shares, k))
			}
			for k := range e.Parents {
				if r.Counts != nil {
					fmt.Fprintf(t, "%d", r.Counts[k])
				}
				fmt.Fprint(t, "\t")
			}
			fmt.Fprintf(t, "  %s\n", r.Token)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return p.err
}

// share writes the share of a parent; blank where the parents are equal.
func share(shares []float64, k int) string {
	if shares == nil {
		return ""
	}
	return strings.Replace(fmt.Sprintf("%.3f", shares[k]), "-0.000", "0.000", 1)
}

// letter names parent k: A to Z, and then by numbers.
func letter(k int) string {
	if k < 26 {
		return string(rune('A' + k))
	}
	return fmt.Sprint(k + 1)
}
