namespace StaleReads;

/// <summary>A write in the first region.</summary>
/// <param name="Value">What is written.</param>
/// <param name="At">When.</param>
internal sealed record Write(string Value, TimeSpan At);
