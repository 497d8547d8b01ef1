package serve

import (
	"strings"

	"github.com/splice-ml/splice"
)

// Routes returns what is served, as "METHOD /path".
func (s *Server) Routes() (list []string) {
	for _, r := range s.table() {
		for method := range r.methods {
			list = append(list, method+" "+strings.TrimSuffix(r.path, "{$}"))
		}
	}
	return list
}

// ReadRows gives what the body of a request for scores holds to do, which must not keep it, and returns what is wrong with the body.
func ReadRows(l Limits, body []byte, do func(model string, k *int, rows []splice.Row)) error {
	r, err := (&Server{Options: Options{Limits: l}}).read(body)
	if err != nil {
		return err
	}
	defer r.put()
	if r.req.Fault == nil {
		do(r.req.Model, r.req.K, r.req.Rows)
	}
	return r.req.Fault
}
