package serve

import "strings"

// Routes returns what is served, as "METHOD /path".
func (s *Server) Routes() (list []string) {
	for _, r := range s.table() {
		for method := range r.methods {
			list = append(list, method+" "+strings.TrimSuffix(r.path, "{$}"))
		}
	}
	return list
}
