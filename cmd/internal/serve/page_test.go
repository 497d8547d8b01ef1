package serve_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	dir := trained(t, clicksConfig, 1)
	s := start(t, options(t, "clicks="+dir, "reviews="+trained(t, reviewsConfig, 1), "next="+trained(t, cyclesConfig, 1)))
	w := ask(s, "GET", "/", "")
	want(t, w, 200, nil)
	page := w.Body.String()
	for _, part := range []string{`name="column.user"`, `name="column.price"`, `inputmode="decimal"`, `href="/?model=reviews"`, "<title>clicks"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s:\n%s", part, page)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, tag := range []string{"style", "script"} { // the policy lets the page's own style and script run, and nothing else
		text := regexp.MustCompile(`(?s)<` + tag + `>(.*?)</` + tag + `>`).FindStringSubmatch(page)[1]
		sum := sha256.Sum256([]byte(text))
		if !strings.Contains(policy, tag+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("the policy %s does not name the %s", policy, tag)
		}
	}
	list := clicks()[3]
	form := url.Values{"model": {"clicks"}}
	for i, name := range header[1:] {
		form.Set("column."+name, list[i+1])
	}
	const urlencoded = "application/x-www-form-urlencoded"
	w = ask(s, "POST", "/", form.Encode(), "Content-Type", urlencoded)
	want(t, w, 200, nil)
	if score := predictions(t, clicksConfig, "", 0, dir)[3]; !strings.Contains(w.Body.String(), "<td>"+score+"</td>") {
		t.Errorf("the page lacks the score %s:\n%s", score, w.Body)
	}
	for _, tc := range []struct {
		fields string
		code   int
		want   []string
	}{
		{"model=reviews&column.sentence=warm", 200, []string{"<textarea", "<th scope=\"row\">"}},
		{"model=next&column.history=i1|i2&k=2", 200, []string{`name="k" value="2"`, "<td>"}},
		{"model=next&column.history=i1|i2&k=x", 400, []string{"want 1 to 1000"}},
		{"model=clicks&column.user=u&column.price=%22%3E%3Cscript%3E", 400, []string{`aria-invalid="true"`, "column price: ", "&lt;script&gt;"}},
		{"model=none", 404, []string{"there is no model"}},
		{"model=%zz", 400, []string{"cannot be read"}},
	} {
		w := ask(s, "POST", "/", tc.fields, "Content-Type", urlencoded)
		want(t, w, tc.code, nil)
		for _, part := range tc.want {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s: the page lacks %s:\n%s", tc.fields, part, w.Body)
			}
		}
		if strings.Contains(w.Body.String(), `"><script>`) {
			t.Errorf("%s: a value is not escaped", tc.fields)
		}
	}
	want(t, ask(s, "POST", "/", form.Encode(), "Content-Type", urlencoded, "Sec-Fetch-Site", "cross-site"), 403, nil)
}

// TestOpenAPI checks that the document has all routes with their methods and no others, and that its references lead somewhere.
func TestOpenAPI(t *testing.T) {
	s := start(t, options(t, "m="+trained(t, clicksConfig, 1)))
	w := ask(s, "GET", "/openapi.json", "")
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]any }
	}
	want(t, w, 200, &doc)
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	var got []string
	for path, methods := range doc.Paths {
		for method := range methods {
			got = append(got, strings.ToUpper(method)+" "+path)
		}
	}
	routes := s.Routes()
	slices.Sort(got)
	slices.Sort(routes)
	if !slices.Equal(got, routes) {
		t.Errorf("the document has %v, the server %v", got, routes)
	}
}
