using StaleReads;

// UTF-8, so that every terminal shows the bars and dots.
Console.OutputEncoding = System.Text.Encoding.UTF8;
await Scenarios.DrawAsync(Console.Out);
