package serve

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data"
)

// The page works without its script, which spares loading it again.
var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
	pagePolicy   = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		sourceSum(pageStyle), sourceSum(pageScript))
)

// sourceSum is how a content security policy names a style or a script.
func sourceSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageData is what the page shows.
type pageData struct {
	Style   template.CSS
	Script  template.JS
	Model   string
	Models  []string
	Version string
	Columns []pageColumn
	Items   bool
	K       int
	Result  []pageResult
	Error   string
}

type pageColumn struct {
	splice.Column
	Field, Value string
	Hint         string
	Bad          bool
}

type pageResult struct{ Name, Value string }

// fieldPrefix is in front of columns' names in the form.
const fieldPrefix = "column."

// page shows a form for a row, and with POST what the run predicts of it.
func (s *Server) page(c *call) error {
	form, err := s.form(c)
	if err != nil {
		return err
	}
	name := form.Get("model")
	if name == "" {
		name = s.models[0].Name
	}
	m, v, err := s.find(name)
	if err != nil {
		return err
	}
	defer v.release()
	d := &pageData{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), Model: m.Name, Version: v.short(), Items: v.output == splice.OutputItems,
		K: defaultItems,
	}
	for _, m := range s.models {
		d.Models = append(d.Models, m.Name)
	}
	row := splice.Row{}
	for _, col := range v.columns {
		f := pageColumn{Column: col, Field: fieldPrefix + col.Name, Value: form.Get(fieldPrefix + col.Name)}
		f.Hint = map[data.ValueType]string{
			data.TokenValue: "a token", data.NumberValue: "a number", data.ListValue: "tokens, as a file has them", data.TextValue: "a text",
		}[col.Type]
		row[col.Name] = f.Value
		d.Columns = append(d.Columns, f)
	}
	code := http.StatusOK
	if c.Method == post {
		code = s.fill(c, v, d, row, form.Get("k"))
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, d); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	c.w.WriteHeader(code)
	_, _ = c.w.Write(b.Bytes()) // a client that has gone
	return nil
}

// form reads the fields of the query or the body.
func (s *Server) form(c *call) (url.Values, error) {
	text := c.URL.RawQuery
	if c.Method == post {
		body, err := s.body(c)
		if err != nil {
			return nil, err
		}
		text = string(body)
	}
	if strings.Count(text, "&") > mostWidth {
		return nil, refuse("the form has too many fields")
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, refuse("the form cannot be read: %v", err)
	}
	return form, nil
}

// fill scores the row of the page, and returns the status of the answer.
func (s *Server) fill(c *call, v *version, d *pageData, row splice.Row, k string) int {
	if d.Items {
		n, err := strconv.Atoi(k)
		if err == nil {
			err = s.checkItems(n)
		}
		if d.K = n; err != nil {
			d.K, d.Error = defaultItems, fmt.Sprintf("the number of items is %s: want 1 to %d", quote(k), s.Items)
			return http.StatusBadRequest
		}
	}
	a, err := s.ask(c, v, []splice.Row{row}, d.K)
	if err != nil {
		code, body, _ := failed(err)
		if d.Error = body.Error; code == http.StatusInternalServerError {
			s.Log.Error("a request failed", "error", err)
		}
		var bad *data.ValueError
		if errors.As(err, &bad) {
			d.Error = strings.TrimPrefix(d.Error, "row 0: ")
			for i := range d.Columns {
				d.Columns[i].Bad = d.Columns[i].Name == bad.Column
			}
		}
		return code
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 32) }
	for _, x := range a.scores {
		d.Result = append(d.Result, pageResult{"score", number(x)})
	}
	for _, scores := range a.tasks {
		for i, x := range scores {
			d.Result = append(d.Result, pageResult{v.run.Tasks()[i], number(x)})
		}
	}
	for _, x := range a.classes {
		d.Result = append(d.Result, pageResult{x.Name, number(x.Probability)})
	}
	for _, list := range a.items {
		for _, x := range list {
			d.Result = append(d.Result, pageResult{x.Name, number(x.Score)})
		}
	}
	return http.StatusOK
}
