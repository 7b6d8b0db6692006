namespace KvStore.Wrangler;

/// <summary>A part of a text file. Lines and columns are counted from 1, columns in UTF-16 characters, as editors count them.</summary>
internal readonly record struct FilePosition(int Offset, int Length, int Line, int Column);
