package spotify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Secret is a string that prints as "[secret]". JSON has it in clear, for the
// token file.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "[secret]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[secret]" }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Authorization is what a person has given this app by logging in, and the
// content of a token file.
type Authorization struct {
	ClientID     string    `json:"client_id"` // refresh tokens are good for this client id only
	Scopes       []string  `json:"scopes"`
	AuthorizedAt time.Time `json:"authorized_at"`
	Profile
	Token Token `json:"token"`
}

// Profile is who logged in.
type Profile struct {
	AccountID   string `json:"account_id,omitempty"` // never changes; not in answers before May 2026
	UserID      string `json:"user_id,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
}

// known reports whether p says who somebody is.
func (p Profile) known() bool { return p.AccountID != "" || p.UserID != "" }

// same reports whether p and q are one person, by the account id if both have
// it.
func (p Profile) same(q Profile) bool {
	if p.AccountID != "" && q.AccountID != "" {
		return p.AccountID == q.AccountID
	}
	return p.UserID != "" && p.UserID == q.UserID
}

// Token is what the accounts service gave last.
type Token struct {
	AccessToken  Secret    `json:"access_token"`
	RefreshToken Secret    `json:"refresh_token"`
	TokenType    string    `json:"token_type"`
	Expiry       time.Time `json:"expiry"` // of the access token
}

// AuthorizationExpiry returns when the refresh token of an authorization dies:
// six months after the person agreed, however often it was refreshed
// (developer.spotify.com/blog/2026-06-18-refresh-token-expiration). Spotify
// says no more than "6 months"; as ListenBrainz does, calendar months are
// taken, ending with the month where its day does not exist.
func AuthorizationExpiry(authorizedAt time.Time) time.Time {
	expiry := authorizedAt.AddDate(0, 6, 0)
	if expiry.Day() != authorizedAt.Day() {
		expiry = expiry.AddDate(0, 0, -expiry.Day())
	}
	return expiry
}

var aliasPattern = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]{0,31}$`)

// CheckAlias says what is allowed if alias cannot name an account. An alias is
// a label, a tag and a file name.
func CheckAlias(alias string) error {
	if !aliasPattern.MatchString(alias) {
		return fmt.Errorf("account %q: must be 1 to 32 of a-z, 0-9, _ and -, not beginning with -", alias)
	}
	return nil
}

// Tokens is the folder with a file ALIAS.json for every account. Processes may
// share it.
type Tokens struct{ Dir string }

// Path returns the name of an account's token file.
func (t Tokens) Path(alias string) string { return filepath.Join(t.Dir, alias+".json") }

// Aliases returns the accounts that have a token file, sorted. A folder that
// does not exist has none. An error beside accounts is about other files, whose
// names cannot be those of accounts.
func (t Tokens) Aliases() ([]string, error) {
	entries, err := os.ReadDir(t.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list token files: %w", err)
	}
	var aliases []string
	var strange []error
	for _, entry := range entries {
		alias, ok := strings.CutSuffix(entry.Name(), ".json")
		if !ok || strings.HasPrefix(alias, ".") {
			continue
		}
		if err := CheckAlias(alias); err != nil {
			strange = append(strange, fmt.Errorf("token file %s: %w; rename or remove it", t.Path(alias), err))
			continue
		}
		aliases = append(aliases, alias)
	}
	return aliases, errors.Join(strange...)
}

// Load reads the token file of an account. It refuses one that others may
// read, and every error says which command mends it. Without a file it is
// ErrLoggedOut.
func (t Tokens) Load(alias string) (Authorization, error) {
	auth, _, err := t.load(alias)
	return auth, err
}

// load is Load, and says which file it was: one that is replaced or changed in
// mode or content has other values.
func (t Tokens) load(alias string) (Authorization, fs.FileInfo, error) {
	if err := CheckAlias(alias); err != nil {
		return Authorization{}, nil, err
	}
	auth, info, err := t.read(alias)
	path, login := t.Path(alias), loginCommand(alias)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Authorization{}, nil, fmt.Errorf("token file %s: none yet, run %s: %w", path, login, ErrLoggedOut)
	case info != nil && info.Mode().Perm()&0o077 != 0:
		return Authorization{}, nil, fmt.Errorf("token file %s: others may read it (mode %04o), run chmod 600 %s", path, info.Mode().Perm(), path)
	case err != nil && info != nil:
		return Authorization{}, nil, fmt.Errorf("token file %s: %w, run %s", path, err, login)
	case err != nil:
		return Authorization{}, nil, fmt.Errorf("read token file: %w", err)
	case auth.Token.RefreshToken == "":
		return Authorization{}, nil, fmt.Errorf("token file %s: has no refresh_token, run %s", path, login)
	}
	return auth, info, nil
}

// read reads a token file whatever its mode. An error with a FileInfo is one
// of the content.
func (t Tokens) read(alias string) (auth Authorization, info fs.FileInfo, err error) {
	f, err := os.Open(t.Path(alias))
	if err != nil {
		return auth, nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return auth, nil, err
	}
	if err := json.NewDecoder(f).Decode(&auth); err != nil {
		// The decoder's own words could quote a token.
		return Authorization{}, info, errors.New("is not the JSON that login writes")
	}
	return auth, info, nil
}

// save replaces the token file of an account: whole and on the disk when it
// returns, or not at all. The caller holds the lock.
func (t Tokens) save(alias string, auth Authorization) (fs.FileInfo, error) {
	content, err := json.MarshalIndent(auth, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode token file: %w", err)
	}
	f, err := os.CreateTemp(t.Dir, "."+alias+".json.*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("write token file: %w", err)
	}
	_, err = f.Write(append(content, '\n'))
	info, statErr := f.Stat()
	err = errors.Join(err, statErr, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), t.Path(alias))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write token file: %w", err), os.Remove(f.Name()))
	}
	if err := syncDir(t.Dir); err != nil {
		return nil, fmt.Errorf("write token file: %w", err)
	}
	return info, nil
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// lock makes the caller the only one, of all processes, who renews or replaces
// the token of an account, until it calls unlock. It creates the folder.
func (t Tokens) lock(ctx context.Context, alias string) (unlock func() error, err error) {
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("lock token file: %w", err)
	}
	// The token file itself cannot be locked: it is replaced while held.
	f, err := os.OpenFile(filepath.Join(t.Dir, "."+alias+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock token file: %w", err)
	}
	// A blocking flock could not be left when ctx ends.
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock token file %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock token file %s: %w", f.Name(), context.Cause(ctx)), f.Close())
		}
	}
}

func loginCommand(alias string) string { return "`spotify-exporter login --account " + alias + "`" }
