using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using KvStore.Benchmarks.Suites;

// The short form runs every suite once, in this process, to show that it runs. It measures nothing.
var isShort = args.Contains("--short");
Sizes.IsShort = isShort;
var config = ManualConfig.Create(DefaultConfig.Instance)
    .AddDiagnoser(MemoryDiagnoser.Default)
    .HideColumns(Column.Error, Column.RatioSD);
if (isShort)
{
    config.AddJob(Job.Dry.WithToolchain(InProcessEmitToolchain.Instance));
}

string[] ofSuites = [.. args.Where(argument => argument != "--short")];
if (isShort && !ofSuites.Contains("--filter"))
{
    ofSuites = [.. ofSuites, "--filter", "*"];
}

var summaries = BenchmarkSwitcher.FromAssembly(typeof(Sizes).Assembly).Run(ofSuites, config).ToArray();
var failed = summaries.Where(summary => summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success)).ToArray();
foreach (var summary in failed)
{
    Console.Error.WriteLine($"{summary.Title} has failed.");
}

return failed.Length > 0 ? 1 : 0;
