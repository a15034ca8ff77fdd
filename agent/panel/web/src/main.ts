import "./css/base.css";
import "./css/shell.css";
import "./css/plate.css";
import "./css/hits.css";
import "./css/cameras.css";
import "./css/operator.css";

import { mount } from "svelte";

import App from "./App.svelte";

const target = document.getElementById("app");
if (target) mount(App, { target });
