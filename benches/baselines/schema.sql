-- What the baselines store of a message: the least that a chart could be read from.
CREATE TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    control_id text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    raw text NOT NULL
);

CREATE TABLE results (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id bigint NOT NULL REFERENCES messages,
    mrn text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    value text NOT NULL,
    units text NOT NULL,
    reference_range text NOT NULL,
    abnormal_flag text NOT NULL,
    status text NOT NULL
);

CREATE INDEX ON results (mrn);

CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id bigint NOT NULL,
    code text NOT NULL,
    control_id text NOT NULL,
    raw text NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
);
