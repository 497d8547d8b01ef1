package data

// FeatureMap is all that turns raw values into ids and numbers: vocabularies, hash bucket sizes and the statistics of
// numeric columns. It is fitted on train rows and saved beside a run's checkpoint.
type FeatureMap struct{}
