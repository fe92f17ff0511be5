#if canImport(Glibc)
@preconcurrency import Glibc
#elseif canImport(Musl)
@preconcurrency import Musl
#endif

/// The fragment's own code: the compiler gives its `main` this name.
@_extern(c, "martlet_fragment_main")
func fragmentMain(
    _ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32

/// Where the program begins: the channel comes as standard input, and is out of the way of everything else before the
/// fragment's first line runs. Programs that it starts do not have it.
@_cdecl("main")
func main(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
    let nothing = open("/dev/null", O_RDONLY)
    if nothing >= 0 {
        dup2(nothing, 0)
        if nothing > 0 { close(nothing) }
    } else {
        close(0)
    }
    unsetenv("SWIFT_ROOT")
    // What is printed is seen at once.
    setvbuf(stdout, nil, _IOLBF, 0)
    FragmentChannel.descriptor = descriptor
    return fragmentMain(count, arguments)
}

/// Takes the place of the function to which the compiler leaves an error that nobody catches (`ld --wrap`).
@_silgen_name("__wrap_swift_errorInMain")
func errorInMain(_ error: any Error) -> Never {
    channel.fail(error)
    exit(1)
}

/// The same for an error whose type is known.
@_silgen_name("__wrap_swift_errorInMainTyped")
func typedErrorInMain<Failure: Error>(_ error: Failure) -> Never {
    channel.fail(error)
    exit(1)
}
