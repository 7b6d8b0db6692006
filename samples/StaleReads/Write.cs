namespace StaleReads;

/// <summary>A write in the first region.</summary>
/// <param name="Value">The value.</param>
/// <param name="At">The time of the write.</param>
internal sealed record Write(string Value, TimeSpan At);
