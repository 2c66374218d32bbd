/** A piece of data in the blob store. */
export interface StoredChunk {
  /** SHA-256 of the bytes, hexadecimal. */
  digest: string;
  bytes: number;
  /** Rows in the piece, where the data has rows. */
  rows?: number;
}

/**
 * Data too large to stand in an output, which commits to it by digests: rows as newline-delimited JSON, or plain bytes. Each chunk of
 * rows ends with a whole row.
 */
export interface StoredData {
  stored: 'ndjson' | 'bytes';
  bytes: number;
  row_count?: number;
  media_type?: string;
  chunks: StoredChunk[];
}
