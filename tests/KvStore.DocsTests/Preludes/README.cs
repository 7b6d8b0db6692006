global using FlagSite;
