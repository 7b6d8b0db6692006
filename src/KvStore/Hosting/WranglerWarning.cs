namespace KvStore.Hosting;

/// <summary>A warning for the log, which is registered with the services that it is about.</summary>
internal sealed record WranglerWarning(string Text);
