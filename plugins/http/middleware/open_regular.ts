/**
 * Opening a file that is to be sent.
 *
 * Invariant: what is handed out is a regular file; nothing here waits for somebody else (a FIFO would
 * wait for a writer), and nothing stays open when it fails.
 */

/** An open file and what it was when it was opened. */
export interface RegularFile {
  file: Deno.FsFile;
  info: Deno.FileInfo;
}

/** Undefined: it is there and no regular file. @throws when it is not there or cannot be opened */
export async function openRegular(path: string): Promise<RegularFile | undefined> {
  if (!(await Deno.stat(path)).isFile) return undefined;
  const file = await Deno.open(path);
  let info: Deno.FileInfo | undefined;
  try {
    info = await file.stat();
  } finally {
    if (!info?.isFile) file.close();
  }
  return info.isFile ? { file, info } : undefined;
}
