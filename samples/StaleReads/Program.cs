using StaleReads;

// So that bars and dots are what they are on every terminal.
Console.OutputEncoding = System.Text.Encoding.UTF8;
await Scenarios.DrawAsync(Console.Out);
