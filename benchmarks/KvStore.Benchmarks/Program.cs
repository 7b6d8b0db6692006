using KvStore.Benchmarks.Quick;

if (args is ["quick", .. var quick])
{
    return QuickCommand.Run(quick);
}

Console.Error.WriteLine(QuickOptions.Usage);
return 2;
