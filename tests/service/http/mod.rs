//! Every line of the contract, over real HTTP: a file an endpoint.

mod logout;
