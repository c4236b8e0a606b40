package main

import (
	"os"
	"path/filepath"

	"bale/bundle/recipe"
)

// cacheEnv names the folder for what bale remembers from one run to the next.
const cacheEnv = "BALE_CACHE"

// noCache is the cacheEnv that makes bale remember nothing.
const noCache = "off"

// recipes opens the store of what was found out about layers, or returns nil.
// Nothing depends on it but time, so only a user who has named the folder hears
// that it is of no use. Its key stays with the user's own files wherever the
// folder is: what somebody else puts there does not count.
func (a *app) recipes() *recipe.Store {
	named := os.Getenv(cacheEnv)
	if named == noCache {
		return nil
	}
	dir, key, err := recipe.UserPaths()
	if named != "" {
		dir = filepath.Join(named, "recipes")
	}
	var s *recipe.Store
	if err == nil {
		s, err = recipe.Open(dir, key)
	}
	if err != nil {
		if named != "" {
			a.warn(cacheEnv + ": " + err.Error())
		}
		return nil
	}
	return s
}
