package journal

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// transaction is what runs between BEGIN and COMMIT on one connection. On the
// writing connection statements are prepared once in the life of the process:
// the small transactions of a live listen spend half their time on it otherwise.
type transaction struct {
	ctx       context.Context
	conn      *sql.Conn
	prepared  map[string]*sql.Stmt // nil: prepare each time
	inserters map[string]*inserter
}

// write is quietly, and wakes whoever waits for new entries of the outbox.
func (j *Journal) write(ctx context.Context, do func(*transaction) error) error {
	if err := j.quietly(ctx, do); err != nil {
		return err
	}
	j.changed()
	return nil
}

// changed wakes whoever waits for new entries of the outbox.
func (j *Journal) changed() {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.wake)
	j.wake = make(chan struct{})
}

// quietly runs do in one transaction on the only writing connection.
func (j *Journal) quietly(ctx context.Context, do func(*transaction) error) error {
	tx, err := j.begin(ctx)
	if err != nil {
		return err
	}
	return j.end(tx, do(tx))
}

// begin begins a transaction on the only writing connection, which end has to end.
func (j *Journal) begin(ctx context.Context) (*transaction, error) {
	select {
	case j.writing <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	tx := &transaction{ctx: ctx, conn: j.writer, prepared: j.prepared, inserters: j.inserters}
	if err := tx.begin("BEGIN IMMEDIATE"); err != nil {
		<-j.writing
		return nil, err
	}
	return tx, nil
}

// end commits what begin has begun, or rolls it back if there is an error already.
func (j *Journal) end(tx *transaction, err error) error {
	defer func() { <-j.writing }()
	if err = tx.end(err); err != nil {
		j.known, j.queued = nil, nil // have what was rolled back
	}
	return err
}

// read runs look in a transaction that only reads: one state of the journal.
func (j *Journal) read(ctx context.Context, look func(*transaction) error) error {
	conn, err := j.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	defer conn.Close()
	tx := &transaction{ctx: ctx, conn: conn}
	if err := tx.begin("BEGIN"); err != nil {
		return err
	}
	return tx.end(look(tx))
}

func (t *transaction) begin(how string) error {
	if _, err := t.conn.ExecContext(t.ctx, how); err != nil {
		t.rollback() // if the context ended just behind it, the transaction has begun
		return fmt.Errorf("begin transaction: %w", err)
	}
	return nil
}

// end commits, or rolls back if there is an error already.
func (t *transaction) end(err error) error {
	if err != nil {
		t.rollback()
		return err
	}
	// A context that ends does not end a commit: the caller would be told that it
	// failed if it did not.
	if _, err := t.conn.ExecContext(context.WithoutCancel(t.ctx), "COMMIT"); err != nil {
		t.rollback()
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// rollback leaves the connection outside of a transaction, also if the context has
// ended. SQLite has rolled back by itself after some errors (disk full): then there
// is nothing to roll back, and only the first error matters.
func (t *transaction) rollback() {
	_, _ = t.conn.ExecContext(context.WithoutCancel(t.ctx), "ROLLBACK")
}

// statement returns the prepared statement, nil if there is to be none.
func (t *transaction) statement(query string) (*sql.Stmt, error) {
	if t.prepared == nil {
		return nil, nil
	}
	if s := t.prepared[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, err
	}
	t.prepared[query] = s
	return s, nil
}

func (t *transaction) exec(query string, values ...any) (sql.Result, error) {
	s, err := t.statement(query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return t.conn.ExecContext(t.ctx, query, values...)
	}
	return s.ExecContext(t.ctx, values...)
}

func (t *transaction) query(query string, values ...any) (*sql.Rows, error) {
	s, err := t.statement(query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return t.conn.QueryContext(t.ctx, query, values...)
	}
	return s.QueryContext(t.ctx, values...)
}

// get reads the one row of a query into targets; sql.ErrNoRows if there is none.
func (t *transaction) get(query string, values, targets []any) error {
	rows, err := t.query(query, values...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := rows.Scan(targets...); err != nil {
		return err
	}
	return rows.Close()
}

// each calls scan for every row of a query.
func (t *transaction) each(query string, values []any, scan func(*sql.Rows) error) error {
	rows, err := t.query(query, values...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// inList is the condition that a column is in the list that follows as a value
// made by list: a text that is the same for every length.
const inList = "IN (SELECT value FROM json_each(?))"

func list[T int64 | string](values []T) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // numbers and strings only: cannot happen
	}
	return string(text)
}

// inserter adds rows to a table in statements of many rows each. It speaks to the
// driver: database/sql would copy and check each of some thousand values twice.
type inserter struct {
	tx         *transaction
	head       string         // INSERT INTO … (columns) VALUES
	row        string         // (?, ?, …)
	width      int            // values of a row
	statements [7]driver.Stmt // of 1, 2, 4 … 64 rows
	values     []driver.NamedValue
}

const rowsPerInsert = 64

// inserter returns the one of a table, which like prepared statements is made once
// in the life of the process. Columns are without a value if they have always the
// same: see constant.
func (t *transaction) inserter(into, columns string) *inserter {
	i := t.inserters[into+columns]
	if i == nil {
		var names, marks []string
		i = &inserter{}
		for column := range strings.SplitSeq(columns, ", ") {
			name, mark, same := strings.Cut(column, "=")
			if !same {
				mark = "?"
				i.width++
			}
			names, marks = append(names, name), append(marks, mark)
		}
		i.head = into + " (" + strings.Join(names, ", ") + ") VALUES "
		i.row = "(" + strings.Join(marks, ",") + ")"
		t.inserters[into+columns] = i
	}
	i.tx, i.values = t, i.values[:0]
	return i
}

// constant is for columns of an inserter that are the same in every row.
func constant(columns, value string) string {
	return strings.ReplaceAll(columns, ",", "="+value+",") + "=" + value
}

// add adds values of a row, or some of its values.
func (i *inserter) add(values ...any) error {
	for _, v := range values {
		switch v.(type) {
		case nil, int64, string, []byte:
		default:
			var err error
			if v, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
				return err
			}
		}
		i.values = append(i.values, driver.NamedValue{Value: v})
	}
	if len(i.values) < rowsPerInsert*i.width {
		return nil
	}
	return i.flush()
}

// flush inserts what is left, in powers of two, so that there are few different
// statements.
func (i *inserter) flush() error {
	left := i.values
	for n := len(i.statements) - 1; n >= 0; n-- {
		for size := i.width << n; len(left) >= size; left = left[size:] {
			if err := i.insert(n, left[:size]); err != nil {
				return err
			}
		}
	}
	clear(i.values)
	i.values = i.values[:0]
	return nil
}

// insert inserts 1<<n rows.
func (i *inserter) insert(n int, values []driver.NamedValue) error {
	for at := range values {
		values[at].Ordinal = at + 1
	}
	return i.tx.conn.Raw(func(conn any) error {
		if i.statements[n] == nil {
			s, err := conn.(driver.ConnPrepareContext).PrepareContext(i.tx.ctx, i.head+strings.Repeat(i.row+",", 1<<n-1)+i.row)
			if err != nil {
				return err
			}
			i.statements[n] = s
		}
		_, err := i.statements[n].(driver.StmtExecContext).ExecContext(i.tx.ctx, values)
		return err
	})
}

func (i *inserter) close() error {
	var errs []error
	for _, s := range i.statements {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
