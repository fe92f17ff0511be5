import MartletCommand

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// Not `await` here: Swift's asynchronous main ends the main thread, for which a static program first sorts all its unwind
// tables. That takes 40 ms of every command.
Task.detached {
    await MartletCommandLine.main()
    exit(0)
}
while true { pause() }
