namespace KvStore.Hosting;

/// <summary>A line for the log, registered with the services that it is about.</summary>
internal sealed record WranglerWarning(string Text);
