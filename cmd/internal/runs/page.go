package runs

import (
	"context"
	"fmt"
	"strconv"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/cmd/internal/webpage"
)

// page writes a page of runs. settings and f may be nil.
func (o *options) page(ctx context.Context, c *app.Command, runs, settings *sheet, f *figure.Figure, title string) error {
	chapter := &webpage.Chapter{ID: "runs", Title: "Runs", Wide: true, Sections: []*webpage.Section{
		{ID: "metrics", Title: "Metrics", Tables: []*webpage.Table{runs.web("runs-table")}},
	}}
	if settings != nil {
		chapter.Sections = append(chapter.Sections, &webpage.Section{ID: "settings", Title: "Settings", Tables: []*webpage.Table{settings.web("settings-table")}})
	}
	if f != nil {
		svg, err := f.SVG()
		if err != nil {
			return err
		}
		s := &webpage.Section{ID: "curves", Title: "Curves", Alt: "metrics on validation rows by step, a line for each run"}
		if s.SVG, err = webpage.Inline(svg); err != nil {
			return err
		}
		chapter.Sections = append(chapter.Sections, s)
	}
	w, err := c.Output(ctx, o.html)
	if err != nil {
		return err
	}
	defer w.Abort()
	d := &webpage.Document{Title: title, Words: []string{fmt.Sprintf("%d runs.", len(runs.rows))}, Chapters: []*webpage.Chapter{chapter}}
	if err := d.Write(w); err != nil {
		return err
	}
	return w.Commit()
}

// web returns the table for a page. Numbers are sorted as such.
func (t *sheet) web(id string) *webpage.Table {
	out := &webpage.Table{ID: id, Caption: t.caption, Head: t.head}
	for i, r := range t.rows {
		var row webpage.Row
		for k, text := range r {
			cell := webpage.Cell{Text: text}
			if by := t.sort[t.head[k]]; by != nil {
				cell.Value = webpage.Number(by[i])
			} else if v, err := strconv.ParseFloat(text, 64); err == nil {
				cell.Value = webpage.Number(v)
			}
			row.Cells = append(row.Cells, cell)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
