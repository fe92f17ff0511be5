@_exported public import Martlet
@_exported public import MartletFleet

/// Makes a function callable in other contexts: one, or all of a group.
///
///     /// The kernels in a folder, the newest first.
///     @Remote func kernels(in folder: String = "/boot") throws -> [String] { … }
///
///     let here = try kernels()
///     let there = try await kernels(on: web)
///     let everywhere = try await kernels(on: fleet, deadline: .seconds(10))
///
/// It goes on free functions and static methods, blocking or `async`, throwing or not. The arguments and the result are
/// `Codable` and `Sendable`, or there is no result; default values are those of the caller's side. An error that is named
/// (`throws(DiskError)`) and is `Codable` arrives as itself. A first parameter of type ``RemoteContext`` gets the context
/// that the function runs in, and the overloads do not have it.
///
/// The far side finds the function by its name, so neither it nor what it is in may be `private` or inside of a function.
/// What is sent is a ``RemoteTask`` that is called `Remote_` and the function's name, with the function's parameters:
/// `try await web.post(Remote_kernels(in: "/"))`. Of several functions of one name the second and further ones need a
/// number each for that: `@Remote(overload: 2)` makes `Remote2_kernels`.
@attached(
    peer, names: overloaded, prefixed(Remote_), prefixed(Remote2_), prefixed(Remote3_), prefixed(Remote4_),
    prefixed(Remote5_),
    prefixed(Remote6_), prefixed(Remote7_), prefixed(Remote8_), prefixed(Remote9_))
public macro Remote(overload: Int? = nil) = #externalMacro(module: "MartletMacroPlugin", type: "RemoteMacro")
