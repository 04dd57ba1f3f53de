-- What names are compared by where people search for them: compatibility forms, case, marks and joiners do not count, and the
-- Arabic and Persian letters that look alike are one. Functions, so that a name and what is looked for come to the same form.
CREATE FUNCTION search_form(written text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(
        regexp_replace(
            lower(normalize(written, NFKD)),
            '[\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u061c\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff]',
            '', 'g'),
        'يىكةەہھ٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹',
        'ییکهههه01234567890123456789')
$$;

-- The words of what is looked for, as patterns (LIKE) of texts that have them in them; null where there is no word.
CREATE FUNCTION search_patterns(wanted text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg('%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%')
      FROM regexp_split_to_table(search_form(wanted), '\s+') AS word
     WHERE word <> ''
$$;
